/* SPDX-License-Identifier: Apache-2.0 */
/*
 * threads.h - threading.Thread.name out of a living process, read from outside.
 */
#ifndef PV_PY_THREADS_H
#define PV_PY_THREADS_H

#include <sys/types.h>

#include "py/runtime.h"
#include "util/buf.h"

/*
 * Append the Python name of the thread whose threading.get_ident() is @ident to @out, UTF-8. Walks
 * interpreter -> modules -> threading._active[ident]._name; bounded, and every object is checked by
 * type before it is trusted. 0; -ENOENT: the thread has none (or threading was never imported);
 * -EAGAIN: memory changed under the reader; -ESRCH; -EFAULT.
 */
int py_thread_name(pid_t pid, const struct py_runtime *runtime, __u64 interp, __u64 ident,
                   struct buf *out);

#endif
