/* The links of `epoll.c`: what is copied one way as soon as epoll tells of it, see `Link` of
   epoll.py. A chunk that was announced, read and taken whole is of no further interest to anybody,
   and most are; whatever else comes up is kept for Python. Nothing in here looks at a byte that a
   peer has sent. */

#include <Python.h>

#include <string.h>
#include <structmember.h>

#include "stream.h"

typedef struct {
    PyObject_HEAD
    Stream *source, *sink; /* NULL: closed for good */
    PyObject *not_taken;   /* the exception of the streams */
    char is_open;          /* a wait copies; else Python does */
    char is_owed;          /* `owed` was not told yet */
    Copied owed;           /* what a wait found and could not finish */
    char *rest;            /* the bytes of that which are to be sent still */
    long long count;       /* bytes that waits have copied */
    double active_at;      /* monotonic seconds of the last of them */
} Link;

static PyTypeObject *link_type;

static void
forgive(Link *self)
{
    self->is_owed = 0;
    PyMem_Free(self->rest);
    self->rest = NULL;
}

/* Keep for Python what it has to act on: an end, an error, or bytes that found no room. */
static void
owe(Link *self, const Copied *copied, const char *buffer)
{
    self->owed = *copied;
    self->is_owed = 1;
    size_t size = copied->received > 0 ? (size_t)(copied->received - copied->sent) : 0;
    if (size == 0)
        return;
    self->rest = PyMem_Malloc(size);
    if (self->rest == NULL)
        self->owed = (Copied){.received = -1, .code = ENOMEM}; /* lost: a break, never a gap */
    else
        memcpy(self->rest, buffer + copied->sent, size);
}

/* Copy what was announced of a source; 0: there is something for Python to do. */
static int
advance(Link *self, int fd, double now)
{
    static char buffer[MOST_BYTES_AT_ONCE]; /* under the interpreter's lock from read to send */
    /* A stream that was closed has no descriptor, whoever has been given its number since. */
    if (!self->is_open || self->source->fd != fd || self->sink->fd < 0)
        return 0;
    Copied copied = copy_once(fd, self->sink->fd, buffer, sizeof buffer);
    if (copied.received < 0 && copied.code == EAGAIN)
        return 1;
    if (copied.received > 0 && copied.sent == copied.received) {
        self->count += copied.received;
        self->active_at = now;
        if (copied.received < (ssize_t)sizeof buffer)
            return 1;
    } else {
        owe(self, &copied, buffer);
    }
    self->is_open = 0;
    return 0;
}

static PyObject *
link_copy(Link *self, PyObject *buffer)
{
    if (self->source == NULL)
        return PyErr_Format(PyExc_ValueError, "copy: the link is closed");
    Py_buffer view;
    if (PyObject_GetBuffer(buffer, &view, PyBUF_WRITABLE) < 0)
        return NULL;
    self->is_open = 0;
    Copied copied = self->owed;
    if (!self->is_owed) {
        copied = copy_once(self->source->fd, self->sink->fd, view.buf, (size_t)view.len);
    } else if (self->rest != NULL) {
        if (view.len < copied.received) {
            PyErr_Format(PyExc_ValueError, "copy: found a buffer of %zd for %zd bytes", view.len,
                         copied.received);
            PyBuffer_Release(&view);
            return NULL;
        }
        memcpy((char *)view.buf + copied.sent, self->rest,
               (size_t)(copied.received - copied.sent));
    }
    forgive(self);
    PyBuffer_Release(&view);
    return copy_result(&copied, self->not_taken);
}

static PyObject *
link_open(Link *self, PyObject *Py_UNUSED(ignored))
{
    if (self->source == NULL || self->is_owed)
        return PyErr_Format(PyExc_ValueError, "open: the link is closed, or owes a result");
    self->is_open = 1;
    Py_RETURN_NONE;
}

static PyObject *
link_close(Link *self, PyObject *Py_UNUSED(ignored))
{
    self->is_open = 0;
    forgive(self);
    Py_CLEAR(self->source);
    Py_CLEAR(self->sink);
    Py_RETURN_NONE;
}

static void
link_dealloc(Link *self)
{
    PyTypeObject *type = Py_TYPE(self);
    forgive(self);
    Py_XDECREF(self->source);
    Py_XDECREF(self->sink);
    Py_XDECREF(self->not_taken);
    type->tp_free(self);
    Py_DECREF(type);
}

/* What other streams than those of stream.c are made of is not known here: NULL without an error. */
static const Streams *
streams_of(PyObject *source, PyObject *sink)
{
    PyObject *capsule = PyObject_GetAttrString(source, "_in_c");
    if (capsule == NULL) {
        if (PyErr_ExceptionMatches(PyExc_AttributeError))
            PyErr_Clear();
        return NULL;
    }
    const Streams *streams = PyCapsule_GetPointer(capsule, STREAMS_NAME);
    Py_DECREF(capsule); /* what it leads to is static */
    if (streams == NULL || !Py_IS_TYPE(source, streams->type) || !Py_IS_TYPE(sink, streams->type))
        return NULL;
    return streams;
}

/* A new one, open; None of streams that are not those of stream.c. */
static PyObject *
make_link(PyObject *source, PyObject *sink)
{
    const Streams *streams = streams_of(source, sink);
    if (streams == NULL) {
        if (PyErr_Occurred())
            return NULL;
        Py_RETURN_NONE;
    }
    Link *made = (Link *)link_type->tp_alloc(link_type, 0);
    if (made == NULL)
        return NULL;
    made->source = (Stream *)Py_NewRef(source);
    made->sink = (Stream *)Py_NewRef(sink);
    made->not_taken = Py_NewRef(streams->not_taken);
    made->is_open = 1;
    return (PyObject *)made;
}

static PyMethodDef link_methods[] = {
    {"copy", (PyCFunction)link_copy, METH_O, "copy(buffer, /): see epoll.py."},
    {"open", (PyCFunction)link_open, METH_NOARGS, "open(): let waits copy."},
    {"close", (PyCFunction)link_close, METH_NOARGS, "close(): copy no more."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef link_members[] = {
    {"count", T_LONGLONG, offsetof(Link, count), READONLY, "Bytes that waits have copied."},
    {"active_at", T_DOUBLE, offsetof(Link, active_at), READONLY,
     "Monotonic seconds of the last of them."},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot link_slots[] = {
    {Py_tp_doc, (void *)"What is copied one way as soon as it is announced; `link` makes it."},
    {Py_tp_dealloc, (void *)link_dealloc},
    {Py_tp_methods, link_methods},
    {Py_tp_members, link_members},
    {0, NULL},
};

static PyType_Spec link_spec = {
    .name = "l4proxy.dataplane.epoll.Link",
    .basicsize = sizeof(Link),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = link_slots,
};
