// SPDX-License-Identifier: MIT OR Apache-2.0
//! `errno.h`: the errors of hypercalls, and of xenstore.

c_enum! {
    /// `XEN_E*`: Xen's error numbers, positive as in the header.
    ///
    /// A failing hypercall returns the negated number in `rax`. The numbers are Linux's on x86, but
    /// this is Xen's own list: it lacks `ENOTTY` and `EPIPE`. Some hypercalls return a count or a
    /// value on success, so only a negative result is an error. An unknown number is an error like
    /// any other.
    #[derive(PartialOrd, Ord, Default)]
    pub struct Errno(i32) {
        /// Not permitted.
        EPERM = 1,
        /// No such thing.
        ENOENT = 2,
        /// No such domain.
        ESRCH = 3,
        /// Interrupted; internal to Xen, never returned to a guest.
        EINTR = 4,
        /// I/O error.
        EIO = 5,
        /// No such device or address.
        ENXIO = 6,
        /// Too long.
        E2BIG = 7,
        /// Not executable.
        ENOEXEC = 8,
        /// Bad file number.
        EBADF = 9,
        /// No child process.
        ECHILD = 10,
        /// Try again. The header's `EWOULDBLOCK` is the same number.
        EAGAIN = 11,
        /// Out of memory.
        ENOMEM = 12,
        /// Access denied.
        EACCES = 13,
        /// Bad guest address.
        EFAULT = 14,
        /// In use.
        EBUSY = 16,
        /// Already exists.
        EEXIST = 17,
        /// Cross-device link.
        EXDEV = 18,
        /// No such device.
        ENODEV = 19,
        /// Not a directory.
        ENOTDIR = 20,
        /// Is a directory.
        EISDIR = 21,
        /// Bad argument.
        EINVAL = 22,
        /// Too many open files in the system.
        ENFILE = 23,
        /// Too many open files.
        EMFILE = 24,
        /// No space, or no free port.
        ENOSPC = 28,
        /// Read-only.
        EROFS = 30,
        /// Too many links.
        EMLINK = 31,
        /// Argument outside of the function's domain.
        EDOM = 33,
        /// Result out of range.
        ERANGE = 34,
        /// Would deadlock. The header's `EDEADLOCK` is the same number.
        EDEADLK = 35,
        /// Name too long.
        ENAMETOOLONG = 36,
        /// No locks left.
        ENOLCK = 37,
        /// No such hypercall or operation.
        ENOSYS = 38,
        /// Not empty.
        ENOTEMPTY = 39,
        /// No data.
        ENODATA = 61,
        /// The time has already passed.
        ETIME = 62,
        /// Not a message.
        EBADMSG = 74,
        /// Value too large for its type.
        EOVERFLOW = 75,
        /// Illegal byte sequence.
        EILSEQ = 84,
        /// Restart the call; internal to Xen, never returned to a guest.
        ERESTART = 85,
        /// Not a socket.
        ENOTSOCK = 88,
        /// Message too large.
        EMSGSIZE = 90,
        /// Not supported.
        EOPNOTSUPP = 95,
        /// Address in use.
        EADDRINUSE = 98,
        /// Address not available.
        EADDRNOTAVAIL = 99,
        /// No buffer space left.
        ENOBUFS = 105,
        /// Already connected. xenstore's answer for a domain that is already introduced.
        EISCONN = 106,
        /// Not connected.
        ENOTCONN = 107,
        /// Timed out.
        ETIMEDOUT = 110,
        /// Connection refused.
        ECONNREFUSED = 111,
    }
}
