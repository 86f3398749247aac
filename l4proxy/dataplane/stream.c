/* `stream.py` for the compiled build: the same names, and no more of a socket than they ask for.

   The methods are those of Python's own socket, with their names, errors and results. What they
   leave out is what a worker does not need: its sockets never block and no other thread waits for
   its interpreter, so neither the interpreter's lock is let go nor a timeout looked at; an accepted
   client's address is handed over packed, not written out and read back. Nothing in here looks at
   a byte that a peer has sent. */

#define PY_SSIZE_T_CLEAN
#define _GNU_SOURCE
#include <Python.h>
#include <structmember.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "stream.h"

typedef union {
    sa_family_t family;
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} Name;

static Streams streams;

#define MOST_OPTION_BYTES 1024 /* as many as Python's own socket returns of an option */

static PyObject *
failed(void)
{
    return PyErr_SetFromErrno(PyExc_OSError);
}

static int
counted(const char *name, Py_ssize_t found, Py_ssize_t least, Py_ssize_t most)
{
    if (found >= least && found <= most)
        return 1;
    PyErr_Format(PyExc_TypeError, "%s: found %zd arguments, expected %zd to %zd", name, found,
                 least, most);
    return 0;
}

/* A C int of a Python one; -1 with an error set where it is none, or where one was set before:
   no code may run on top of an error. */
static int
as_int(PyObject *object)
{
    int overflow;
    if (PyErr_Occurred())
        return -1;
    long value = PyLong_AsLongAndOverflow(object, &overflow);
    if (value == -1 && PyErr_Occurred())
        return -1;
    if (overflow || value != (int)value) {
        PyErr_SetString(PyExc_OverflowError, "found an int that C's int does not hold");
        return -1;
    }
    return (int)value;
}

static int
as_flags(PyObject *const *args, Py_ssize_t count, Py_ssize_t at)
{
    return count > at ? as_int(args[at]) : 0;
}

/* The descriptor of a stream or of Python's own socket, -1 of a closed one: the kernel says EBADF. */
static int
descriptor(PyObject *socket)
{
    if (Py_IS_TYPE(socket, streams.type))
        return ((Stream *)socket)->fd;
    if (PyErr_Occurred())
        return -1;
    PyObject *found = PyObject_CallMethod(socket, "fileno", NULL);
    int fd = found == NULL ? -1 : as_int(found);
    Py_XDECREF(found);
    return fd;
}

/* Let go of what was sent from or read into: the errno of that outlives whatever this runs. */
static void
release(Py_buffer *view)
{
    int code = errno;
    PyBuffer_Release(view);
    errno = code;
}

static PyObject *
made(int fd, int family)
{
    Stream *stream = (Stream *)streams.type->tp_alloc(streams.type, 0);
    if (stream == NULL) {
        close(fd);
        return NULL;
    }
    stream->fd = fd;
    stream->family = family;
    return (PyObject *)stream;
}

/* --- addresses --------------------------------------------------------------------------------- */

/* The (host, port, ...) of an IP literal as a C name; its size, or 0 with an error set. */
static socklen_t
read_name(int family, PyObject *address, Name *name)
{
    if (!PyTuple_Check(address) || PyTuple_GET_SIZE(address) < 2) {
        PyErr_SetString(PyExc_TypeError, "address: expected a tuple (host, port)");
        return 0;
    }
    Py_ssize_t size;
    const char *host = PyUnicode_AsUTF8AndSize(PyTuple_GET_ITEM(address, 0), &size);
    if (host == NULL)
        return 0;
    long port = PyLong_AsLong(PyTuple_GET_ITEM(address, 1));
    if (port == -1 && PyErr_Occurred())
        return 0;
    if (port < 0 || port > 0xffff) {
        PyErr_Format(PyExc_OverflowError, "port %ld, expected 0 to 65535", port);
        return 0;
    }
    memset(name, 0, sizeof *name);
    name->family = (sa_family_t)family;
    void *packed = &name->v4.sin_addr;
    if (family == AF_INET6) {
        packed = &name->v6.sin6_addr;
        name->v6.sin6_port = htons((uint16_t)port);
    } else {
        name->v4.sin_port = htons((uint16_t)port);
    }
    if (strlen(host) != (size_t)size || inet_pton(family, host, packed) != 1) {
        PyErr_Format(PyExc_OSError, "found %R, expected an IP literal of the socket's family",
                     PyTuple_GET_ITEM(address, 0));
        return 0;
    }
    return family == AF_INET6 ? sizeof name->v6 : sizeof name->v4;
}

static int
is_known(const Name *name)
{
    return name->family == AF_INET || name->family == AF_INET6;
}

static PyObject *
packed_host(const Name *name)
{
    if (name->family == AF_INET6)
        return PyBytes_FromStringAndSize((const char *)&name->v6.sin6_addr, 16);
    return PyBytes_FromStringAndSize((const char *)&name->v4.sin_addr, 4);
}

static long
port_of(const Name *name)
{
    return ntohs(name->family == AF_INET6 ? name->v6.sin6_port : name->v4.sin_port);
}

/* --- a stream ---------------------------------------------------------------------------------- */

static PyObject *
stream_recv_into(Stream *self, PyObject *const *args, Py_ssize_t count)
{
    if (!counted("recv_into", count, 1, 3))
        return NULL;
    Py_ssize_t size = count > 1 ? PyLong_AsSsize_t(args[1]) : 0;
    int flags = as_flags(args, count, 2);
    if ((size == -1 || flags == -1) && PyErr_Occurred())
        return NULL;
    Py_buffer view;
    if (PyObject_GetBuffer(args[0], &view, PyBUF_WRITABLE) < 0)
        return NULL;
    if (size < 0 || size > view.len) {
        PyErr_Format(PyExc_ValueError, "found nbytes of %zd for a buffer of %zd", size, view.len);
        PyBuffer_Release(&view);
        return NULL;
    }
    ssize_t received = recv(self->fd, view.buf, (size_t)(size ? size : view.len),
                            flags | MSG_DONTWAIT);
    release(&view);
    return received < 0 ? failed() : PyLong_FromSsize_t(received);
}

static PyObject *
stream_recv(Stream *self, PyObject *const *args, Py_ssize_t count)
{
    static char buffer[MOST_BYTES_AT_ONCE]; /* under the interpreter's lock from read to copy */
    if (!counted("recv", count, 1, 2))
        return NULL;
    Py_ssize_t size = PyLong_AsSsize_t(args[0]);
    int flags = as_flags(args, count, 1);
    if ((size == -1 || flags == -1) && PyErr_Occurred())
        return NULL;
    if (size < 0 || size > MOST_BYTES_AT_ONCE)
        return PyErr_Format(PyExc_ValueError, "found bufsize %zd, expected up to %d", size,
                            MOST_BYTES_AT_ONCE);
    ssize_t received = recv(self->fd, buffer, (size_t)size, flags | MSG_DONTWAIT);
    return received < 0 ? failed() : PyBytes_FromStringAndSize(buffer, received);
}

static PyObject *
stream_send(Stream *self, PyObject *const *args, Py_ssize_t count)
{
    if (!counted("send", count, 1, 2))
        return NULL;
    int flags = as_flags(args, count, 1);
    if (flags == -1 && PyErr_Occurred())
        return NULL;
    Py_buffer view;
    if (PyObject_GetBuffer(args[0], &view, PyBUF_SIMPLE) < 0)
        return NULL;
    ssize_t sent = send(self->fd, view.buf, (size_t)view.len,
                        flags | MSG_DONTWAIT | MSG_NOSIGNAL);
    release(&view);
    return sent < 0 ? failed() : PyLong_FromSsize_t(sent);
}

static PyObject *
stream_connect_ex(Stream *self, PyObject *address)
{
    Name name;
    socklen_t size = read_name(self->family, address, &name);
    if (!size)
        return NULL;
    return PyLong_FromLong(connect(self->fd, &name.any, size) < 0 ? errno : 0);
}

static PyObject *
stream_getsockname(Stream *self, PyObject *Py_UNUSED(ignored))
{
    Name name;
    socklen_t size = sizeof name;
    char host[INET6_ADDRSTRLEN];
    memset(&name, 0, sizeof name);
    if (getsockname(self->fd, &name.any, &size) < 0)
        return failed();
    const void *packed = self->family == AF_INET6 ? (const void *)&name.v6.sin6_addr
                                                  : (const void *)&name.v4.sin_addr;
    if (inet_ntop(self->family, packed, host, sizeof host) == NULL)
        return failed();
    return Py_BuildValue("(sl)", host, port_of(&name));
}

static PyObject *
stream_shutdown(Stream *self, PyObject *how)
{
    int value = as_int(how);
    if (value == -1 && PyErr_Occurred())
        return NULL;
    if (shutdown(self->fd, value) < 0)
        return failed();
    Py_RETURN_NONE;
}

static PyObject *
stream_setsockopt(Stream *self, PyObject *const *args, Py_ssize_t count)
{
    if (!counted("setsockopt", count, 3, 3))
        return NULL;
    int level = as_int(args[0]), option = as_int(args[1]);
    if ((level == -1 || option == -1) && PyErr_Occurred())
        return NULL;
    int value = 0, code;
    if (PyLong_Check(args[2])) {
        value = as_int(args[2]);
        if (value == -1 && PyErr_Occurred())
            return NULL;
        code = setsockopt(self->fd, level, option, &value, sizeof value);
    } else {
        Py_buffer view;
        if (PyObject_GetBuffer(args[2], &view, PyBUF_SIMPLE) < 0)
            return NULL;
        code = setsockopt(self->fd, level, option, view.buf, (socklen_t)view.len);
        release(&view);
    }
    if (code < 0)
        return failed();
    Py_RETURN_NONE;
}

static PyObject *
stream_getsockopt(Stream *self, PyObject *const *args, Py_ssize_t count)
{
    if (!counted("getsockopt", count, 3, 3))
        return NULL;
    int level = as_int(args[0]), option = as_int(args[1]), most = as_int(args[2]);
    if ((level == -1 || option == -1 || most == -1) && PyErr_Occurred())
        return NULL;
    if (most < 1 || most > MOST_OPTION_BYTES)
        return PyErr_Format(PyExc_OSError, "found buflen of %d, expected 1 to %d", most,
                            MOST_OPTION_BYTES);
    char bytes[MOST_OPTION_BYTES];
    socklen_t size = (socklen_t)most;
    if (getsockopt(self->fd, level, option, bytes, &size) < 0)
        return failed();
    return PyBytes_FromStringAndSize(bytes, (Py_ssize_t)size);
}

static PyObject *
stream_fileno(Stream *self, PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromLong(self->fd);
}

static PyObject *
stream_close(Stream *self, PyObject *Py_UNUSED(ignored))
{
    int fd = self->fd;
    self->fd = -1;
    if (fd >= 0 && close(fd) < 0 && errno != ECONNRESET)
        return failed();
    Py_RETURN_NONE;
}

static PyObject *
stream_in_c(Stream *Py_UNUSED(self), void *Py_UNUSED(closure))
{
    return PyCapsule_New(&streams, STREAMS_NAME, NULL);
}

static void
stream_dealloc(Stream *self)
{
    PyTypeObject *type = Py_TYPE(self);
    if (self->fd >= 0)
        close(self->fd);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef stream_methods[] = {
    {"recv_into", (PyCFunction)(void (*)(void))stream_recv_into, METH_FASTCALL,
     "recv_into(buffer, nbytes=0, flags=0, /): as socket.recv_into."},
    {"recv", (PyCFunction)(void (*)(void))stream_recv, METH_FASTCALL,
     "recv(bufsize, flags=0, /): as socket.recv."},
    {"send", (PyCFunction)(void (*)(void))stream_send, METH_FASTCALL,
     "send(data, flags=0, /): as socket.send, and never with a signal."},
    {"connect_ex", (PyCFunction)stream_connect_ex, METH_O,
     "connect_ex((host, port), /): as socket.connect_ex, IP literals only."},
    {"getsockname", (PyCFunction)stream_getsockname, METH_NOARGS,
     "getsockname(): the own (host, port)."},
    {"shutdown", (PyCFunction)stream_shutdown, METH_O,
     "shutdown(how, /): as socket.shutdown."},
    {"setsockopt", (PyCFunction)(void (*)(void))stream_setsockopt, METH_FASTCALL,
     "setsockopt(level, option, value, /): value is an int or bytes."},
    {"getsockopt", (PyCFunction)(void (*)(void))stream_getsockopt, METH_FASTCALL,
     "getsockopt(level, option, buflen, /): at most buflen bytes."},
    {"fileno", (PyCFunction)stream_fileno, METH_NOARGS,
     "fileno(): the descriptor; -1 once it is closed."},
    {"close", (PyCFunction)stream_close, METH_NOARGS,
     "close(): once; a second close does nothing."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef stream_members[] = {
    {"family", T_INT, offsetof(Stream, family), READONLY, "The address family, an int."},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef stream_attributes[] = {
    {"_in_c", (getter)stream_in_c, NULL, "What other C code reads a stream by: stream.h.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot stream_slots[] = {
    {Py_tp_doc, (void *)"A TCP socket that never blocks; `accept` and `unconnected` make it."},
    {Py_tp_dealloc, (void *)stream_dealloc},
    {Py_tp_methods, stream_methods},
    {Py_tp_members, stream_members},
    {Py_tp_getset, stream_attributes},
    {0, NULL},
};

static PyType_Spec stream_spec = {
    .name = "l4proxy.dataplane.stream.Stream",
    .basicsize = sizeof(Stream),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = stream_slots,
};

/* --- the module -------------------------------------------------------------------------------- */

static PyObject *
module_accept(PyObject *Py_UNUSED(module), PyObject *listener)
{
    int fd = descriptor(listener);
    if (fd == -1 && PyErr_Occurred())
        return NULL;
    Name name;
    socklen_t size = sizeof name;
    memset(&name, 0, sizeof name);
    int accepted = accept4(fd, &name.any, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (accepted < 0)
        return failed();
    if (!is_known(&name)) {
        close(accepted);
        return PyErr_Format(PyExc_OSError, "accepted a client of family %d", (int)name.family);
    }
    PyObject *stream = made(accepted, name.family);
    if (stream == NULL)
        return NULL;
    PyObject *host = packed_host(&name), *port = PyLong_FromLong(port_of(&name));
    PyObject *found = host && port ? PyTuple_Pack(3, stream, host, port) : NULL;
    Py_DECREF(stream);
    Py_XDECREF(host);
    Py_XDECREF(port);
    return found;
}

static PyObject *
module_unconnected(PyObject *Py_UNUSED(module), PyObject *wanted)
{
    int family = as_int(wanted);
    if (family == -1 && PyErr_Occurred())
        return NULL;
    if (family != AF_INET && family != AF_INET6)
        return PyErr_Format(PyExc_ValueError, "found family %d, expected IPv4 or IPv6", family);
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fd < 0 ? failed() : made(fd, family);
}

static PyObject *
module_copy(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    if (!counted("copy", count, 3, 3))
        return NULL;
    int source = descriptor(args[0]), sink = descriptor(args[1]);
    Py_buffer view;
    if (PyErr_Occurred() || PyObject_GetBuffer(args[2], &view, PyBUF_WRITABLE) < 0)
        return NULL;
    Copied copied = copy_once(source, sink, view.buf, (size_t)view.len);
    PyBuffer_Release(&view);
    return copy_result(&copied, streams.not_taken);
}

static PyMethodDef module_methods[] = {
    {"copy", (PyCFunction)(void (*)(void))module_copy, METH_FASTCALL,
     "copy(source, sink, buffer, /): see stream.py."},
    {"accept", module_accept, METH_O,
     "accept(listener, /): the stream, packed address and port of a client."},
    {"unconnected", module_unconnected, METH_O,
     "unconnected(family, /): a new stream of AF_INET or AF_INET6."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module_definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "l4proxy.dataplane.stream",
    .m_doc = "TCP connections as the data path holds them; see stream.py.",
    .m_size = -1, /* one interpreter has it: the worker */
    .m_methods = module_methods,
};

PyMODINIT_FUNC
PyInit_stream(void)
{
    PyObject *module = PyModule_Create(&module_definition);
    streams.type = (PyTypeObject *)PyType_FromSpec(&stream_spec);
    streams.not_taken = PyErr_NewException("l4proxy.dataplane.stream.NotTaken", NULL, NULL);
    if (module == NULL || streams.type == NULL || streams.not_taken == NULL
        || PyModule_AddType(module, streams.type) < 0
        || PyModule_AddObjectRef(module, "NotTaken", streams.not_taken) < 0)
        Py_CLEAR(module);
    return module;
}
