/* What `stream.c` shares with `epoll.c`: what a stream is made of, and the copy between two. */

#ifndef L4PROXY_STREAM_H
#define L4PROXY_STREAM_H

#include <Python.h>

#include <errno.h>
#include <sys/socket.h>

/* Bytes of one read, as many as the worker's own buffer takes (RELAY_BUFFER_BYTES, limits.py). */
#define MOST_BYTES_AT_ONCE 65536

typedef struct {
    PyObject_HEAD
    int fd; /* -1: closed */
    int family;
} Stream;

/* What the attribute `_in_c` of a stream leads to: a capsule of this name. */
#define STREAMS_NAME "l4proxy.dataplane.stream.Streams"

typedef struct {
    PyTypeObject *type;  /* its objects are a `Stream` */
    PyObject *not_taken; /* the exception `NotTaken` */
} Streams;

typedef struct {
    ssize_t received; /* bytes read; 0 at the end, -1: `code` says why none */
    ssize_t sent;     /* how many of them the sink took */
    int code;         /* the errno of the read, or of the send; EAGAIN where it took some */
} Copied;

static inline Copied
copy_once(int source, int sink, void *buffer, size_t size)
{
    Copied copied = {.received = recv(source, buffer, size, MSG_DONTWAIT), .code = EAGAIN};
    if (copied.received < 0) {
        copied.code = errno;
    } else if (copied.received > 0) {
        ssize_t sent = send(sink, buffer, (size_t)copied.received, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0)
            copied.code = errno;
        else
            copied.sent = sent;
    }
    return copied;
}

/* What `copy` of stream.py returns, or raises. */
static inline PyObject *
copy_result(const Copied *copied, PyObject *not_taken)
{
    if (copied->received < 0) {
        errno = copied->code;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    if (copied->sent == copied->received)
        return PyLong_FromSsize_t(copied->received);
    PyObject *found = Py_BuildValue("(nni)", copied->received, copied->sent, copied->code);
    if (found != NULL) {
        PyErr_SetObject(not_taken, found);
        Py_DECREF(found);
    }
    return NULL;
}

#endif
