/* `epoll.py` for the compiled build: the part of `select.epoll` that the engine uses, with its
   names, arguments and results. What it leaves out is keyword arguments, and retrying when a signal
   interrupts the wait: then nothing is ready, and the engine looks at its clock. What it has besides
   are links (link.h). */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "link.h"

#define MOST_EVENTS 1024 /* of one wait: 12 KiB of the stack; the engine asks for 256 */

typedef struct {
    PyObject_HEAD
    int fd;       /* -1: closed */
    Link **links; /* by the descriptor of their source; NULL: none */
    size_t size;  /* of `links` */
} Epoll;

static PyTypeObject *epoll_type;

/* Room in the table for a descriptor. */
static int
make_room(Epoll *self, size_t fd)
{
    if (fd < self->size)
        return 1;
    size_t size = fd < 128 ? 256 : 2 * fd;
    Link **links = PyMem_Realloc(self->links, size * sizeof *links);
    if (links == NULL) {
        PyErr_NoMemory();
        return 0;
    }
    memset(links + self->size, 0, (size - self->size) * sizeof *links);
    self->links = links;
    self->size = size;
    return 1;
}

static PyObject *
module_link(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    if (count != 3 || !Py_IS_TYPE(args[0], epoll_type))
        return PyErr_Format(PyExc_TypeError, "link: expected an epoll, a source and a sink");
    Epoll *epoll = (Epoll *)args[0];
    PyObject *made = make_link(args[1], args[2]);
    if (made == NULL || made == Py_None)
        return made;
    int fd = ((Link *)made)->source->fd;
    if (fd < 0)
        PyErr_Format(PyExc_ValueError, "link: the source is closed");
    if (fd < 0 || !make_room(epoll, (size_t)fd)) {
        Py_DECREF(made);
        return NULL;
    }
    Py_XSETREF(epoll->links[fd], (Link *)Py_NewRef(made));
    return made;
}

static PyObject *
control(Epoll *self, int operation, PyObject *const *args, Py_ssize_t count, int with_events)
{
    if (count != 1 + with_events)
        return PyErr_Format(PyExc_TypeError, "found %zd arguments, expected %d", count,
                            1 + with_events);
    long fd = PyLong_AsLong(args[0]);
    if (fd == -1 && PyErr_Occurred())
        return NULL;
    if (fd < 0 || fd > INT_MAX)
        return PyErr_Format(PyExc_ValueError, "found descriptor %ld", fd);
    struct epoll_event event = {.data.fd = (int)fd};
    if (with_events) {
        unsigned long events = PyLong_AsUnsignedLongMask(args[1]);
        if (events == (unsigned long)-1 && PyErr_Occurred())
            return NULL;
        event.events = (uint32_t)events;
    }
    if (epoll_ctl(self->fd, operation, (int)fd, &event) < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    Py_RETURN_NONE;
}

static PyObject *
epoll_register(Epoll *self, PyObject *const *args, Py_ssize_t count)
{
    return control(self, EPOLL_CTL_ADD, args, count, 1);
}

static PyObject *
epoll_modify(Epoll *self, PyObject *const *args, Py_ssize_t count)
{
    return control(self, EPOLL_CTL_MOD, args, count, 1);
}

static PyObject *
epoll_unregister(Epoll *self, PyObject *const *args, Py_ssize_t count)
{
    return control(self, EPOLL_CTL_DEL, args, count, 0);
}

/* Seconds as whole milliseconds, later rather than earlier, so that a deadline has passed then. */
static int
milliseconds(double seconds)
{
    if (seconds < 0)
        return -1;
    double found = ceil(seconds * 1000);
    return found < INT_MAX ? (int)found : INT_MAX;
}

static PyObject *
pair(const struct epoll_event *event)
{
    PyObject *fd = PyLong_FromLong(event->data.fd);
    PyObject *events = PyLong_FromUnsignedLong(event->events);
    PyObject *made = fd && events ? PyTuple_New(2) : NULL;
    if (made == NULL) {
        Py_XDECREF(fd);
        Py_XDECREF(events);
        return NULL;
    }
    PyTuple_SET_ITEM(made, 0, fd);
    PyTuple_SET_ITEM(made, 1, events);
    return made;
}

/* Let links copy where nothing but data is announced; the number of events left for Python. */
static int
serve_links(Epoll *self, struct epoll_event *events, int found)
{
    if (self->links == NULL)
        return found;
    struct timespec clock;
    clock_gettime(CLOCK_MONOTONIC, &clock);
    double now = (double)clock.tv_sec + (double)clock.tv_nsec * 1e-9;
    int left = 0;
    for (int at = 0; at < found; at++) {
        size_t fd = (size_t)events[at].data.fd;
        Link *link = events[at].events == EPOLLIN && fd < self->size ? self->links[fd] : NULL;
        if (link == NULL || !advance(link, (int)fd, now))
            events[left++] = events[at];
    }
    return left;
}

static PyObject *
epoll_poll(Epoll *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2)
        return PyErr_Format(PyExc_TypeError, "poll: found %zd arguments, expected 2", count);
    double timeout = PyFloat_AsDouble(args[0]);
    if (timeout == -1 && PyErr_Occurred())
        return NULL;
    long most = PyLong_AsLong(args[1]);
    if (most == -1 && PyErr_Occurred())
        return NULL;
    if (isnan(timeout) || most < 1 || most > MOST_EVENTS)
        return PyErr_Format(PyExc_ValueError, "found timeout %R and maxevents %ld, expected up to %d",
                            args[0], most, MOST_EVENTS);
    struct epoll_event events[MOST_EVENTS];
    int found;
    Py_BEGIN_ALLOW_THREADS;
    found = epoll_wait(self->fd, events, (int)most, milliseconds(timeout));
    Py_END_ALLOW_THREADS;
    if (found < 0) {
        if (errno != EINTR)
            return PyErr_SetFromErrno(PyExc_OSError);
        if (PyErr_CheckSignals() < 0)
            return NULL;
        found = 0;
    }
    found = serve_links(self, events, found);
    PyObject *list = PyList_New(found);
    for (int at = 0; list != NULL && at < found; at++) {
        PyObject *made = pair(&events[at]);
        if (made == NULL)
            Py_CLEAR(list);
        else
            PyList_SET_ITEM(list, at, made);
    }
    return list;
}

static PyObject *
epoll_close(Epoll *self, PyObject *Py_UNUSED(ignored))
{
    int fd = self->fd;
    self->fd = -1;
    if (fd >= 0 && close(fd) < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    Py_RETURN_NONE;
}

static PyObject *
epoll_fileno(Epoll *self, PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromLong(self->fd);
}

static PyObject *
epoll_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    if (PyTuple_GET_SIZE(args) || (keywords != NULL && PyDict_GET_SIZE(keywords)))
        return PyErr_Format(PyExc_TypeError, "epoll: expected no arguments");
    Epoll *made = (Epoll *)type->tp_alloc(type, 0);
    if (made == NULL)
        return NULL;
    made->fd = epoll_create1(EPOLL_CLOEXEC);
    if (made->fd < 0) {
        PyErr_SetFromErrno(PyExc_OSError); /* first: whatever frees may change errno */
        Py_DECREF(made);
        return NULL;
    }
    return (PyObject *)made;
}

static void
epoll_dealloc(Epoll *self)
{
    PyTypeObject *type = Py_TYPE(self);
    if (self->fd >= 0)
        close(self->fd);
    for (size_t at = 0; at < self->size; at++)
        Py_XDECREF(self->links[at]);
    PyMem_Free(self->links);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef epoll_methods[] = {
    {"register", (PyCFunction)(void (*)(void))epoll_register, METH_FASTCALL,
     "register(fd, events, /): tell of these events of a descriptor."},
    {"modify", (PyCFunction)(void (*)(void))epoll_modify, METH_FASTCALL,
     "modify(fd, events, /): tell of these instead, what is so already included."},
    {"unregister", (PyCFunction)(void (*)(void))epoll_unregister, METH_FASTCALL,
     "unregister(fd, /): tell no more of a descriptor."},
    {"poll", (PyCFunction)(void (*)(void))epoll_poll, METH_FASTCALL,
     "poll(timeout, maxevents, /): a list of (fd, events), after `timeout` seconds an empty one."},
    {"close", (PyCFunction)epoll_close, METH_NOARGS,
     "close(): once; a second close does nothing."},
    {"fileno", (PyCFunction)epoll_fileno, METH_NOARGS,
     "fileno(): the descriptor; -1 once it is closed."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot epoll_slots[] = {
    {Py_tp_doc, (void *)"epoll(): descriptors, and which of them are ready."},
    {Py_tp_new, epoll_new},
    {Py_tp_dealloc, epoll_dealloc},
    {Py_tp_methods, epoll_methods},
    {0, NULL},
};

static PyMethodDef module_methods[] = {
    {"link", (PyCFunction)(void (*)(void))module_link, METH_FASTCALL,
     "link(epoll, source, sink, /): see epoll.py."},
    {NULL, NULL, 0, NULL},
};

static PyType_Spec epoll_spec = {
    .name = "l4proxy.dataplane.epoll.epoll",
    .basicsize = sizeof(Epoll),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = epoll_slots,
};

static struct PyModuleDef module_definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "l4proxy.dataplane.epoll",
    .m_doc = "epoll: the kernel's list of descriptors that are ready; see epoll.py.",
    .m_size = -1, /* one interpreter has it: the worker */
    .m_methods = module_methods,
};

PyMODINIT_FUNC
PyInit_epoll(void)
{
    PyObject *module = PyModule_Create(&module_definition);
    epoll_type = (PyTypeObject *)PyType_FromSpec(&epoll_spec);
    link_type = (PyTypeObject *)PyType_FromSpec(&link_spec);
    if (module == NULL || epoll_type == NULL || link_type == NULL
        || PyModule_AddType(module, epoll_type) < 0 || PyModule_AddType(module, link_type) < 0)
        Py_CLEAR(module);
    return module;
}
