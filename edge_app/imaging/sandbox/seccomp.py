"""Seccomp: from here on the kernel answers this process' system calls only where decoding needs them.

Source:
    Linux, Documentation/userspace-api/seccomp_filter.rst; include/uapi/linux/filter.h, seccomp.h, audit.h;
    numbers of system calls from arch/x86/entry/syscalls/syscall_64.tbl and asm-generic/unistd.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
from typing import NamedTuple

from edge_app.imaging.sandbox.landlock import forbid_new_privileges

# Instructions of classic BPF, and where the kernel lays what they look at.
_LOAD, _IF_EQUAL, _IF_GREATER, _IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x06
_NUMBER_AT, _PROCESSOR_AT, _ARGUMENTS_AT = 0, 4, 16
_ALLOW, _KILL, _REFUSE = 0x7FFF0000, 0x80000000, 0x00050000
_SET_MODE_FILTER, _ON_ALL_THREADS = 1, 1
_SYSCALL_NUMBER_LIMIT = 470  # newer calls are answered as an old kernel would, so that libraries cope

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND if os.name == "posix" else 0
_PROT_WRITE, _PROT_EXEC, _MAP_ANONYMOUS = 2, 4, 0x20
_CLONE_THREAD = 0x10000

_Instruction = tuple[int, int, int, int]


class _Processor(NamedTuple):
    """How a kind of processor is named by the kernel's audit, and the numbers of its system calls."""

    audit: int
    seccomp: int
    plain: tuple[int, ...]
    openat: int
    mmap: int
    mprotect: int
    clone: int
    clone3: int
    tgkill: int


_PROCESSORS = {
    "x86_64": _Processor(
        audit=0xC000003E,
        seccomp=317,
        # read write close stat fstat lstat poll lseek munmap brk rt_sigaction rt_sigprocmask rt_sigreturn
        # pread64 readv writev sched_yield mremap madvise nanosleep setitimer getpid exit fcntl getcwd
        # readlink gettimeofday sysinfo sigaltstack gettid futex sched_getaffinity getdents64 clock_gettime
        # clock_nanosleep exit_group newfstatat set_robust_list getrandom membarrier statx rseq
        plain=(
            *(0, 1, 3, 4, 5, 6, 7, 8, 11, 12, 13, 14, 15, 17, 19, 20, 24, 25, 28, 35, 38, 39, 60, 72, 79),
            *(89, 96, 99, 131, 186, 202, 204, 217, 228, 230, 231, 262, 273, 318, 324, 332, 334),
        ),
        openat=257,
        mmap=9,
        mprotect=10,
        clone=56,
        clone3=435,
        tgkill=234,
    ),
    "aarch64": _Processor(
        audit=0xC00000B7,
        seccomp=277,
        # The same calls; this processor has no stat, lstat, poll or readlink, but ppoll and readlinkat.
        plain=(
            *(
                63,
                64,
                57,
                80,
                73,
                62,
                215,
                214,
                134,
                135,
                139,
                67,
                65,
                66,
                124,
                216,
                233,
                101,
                103,
                172,
                93,
            ),
            *(25, 17, 78, 169, 179, 132, 178, 98, 123, 61, 113, 115, 94, 79, 99, 278, 283, 291, 293),
        ),
        openat=56,
        mmap=222,
        mprotect=226,
        clone=220,
        clone3=435,
        tgkill=131,
    ),
}


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def filter_system_calls() -> None:
    """Let the kernel refuse all but what decoding needs, in every thread.

    Files open for reading only, threads start but no processes, memory is never writable and executable
    at once, no socket opens, and no other process can be seen into or ended.

    Raises:
        OSError: this kernel or this kind of processor has no filter.
    """
    processor = _PROCESSORS.get(platform.machine())
    if processor is None:
        raise OSError(errno.ENOSYS, f"no filter for {platform.machine()}")
    code = b"".join(_packed(each) for each in _instructions(processor, os.getpid()))
    program = _Program(len(code) // 8, code)
    forbid_new_privileges()
    library = ctypes.CDLL(None, use_errno=True)
    if library.syscall(processor.seccomp, _SET_MODE_FILTER, _ON_ALL_THREADS, ctypes.byref(program)):
        raise OSError(ctypes.get_errno(), "seccomp was refused")


def _instructions(processor: _Processor, process_id: int) -> list[_Instruction]:
    no_call = _refuse(errno.ENOSYS)
    return [
        (_LOAD, 0, 0, _PROCESSOR_AT),
        (_IF_EQUAL, 1, 0, processor.audit),
        _return(_KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_IF_GREATER, 0, 1, _SYSCALL_NUMBER_LIMIT),
        no_call,
        *(step for number in processor.plain for step in _when(number, [_return(_ALLOW)])),
        *_when(processor.openat, _unless_bits(2, _WRITING)),
        *_when(processor.mprotect, _unless_bits(2, _PROT_EXEC)),
        *_when(processor.mmap, _mapping()),
        *_when(processor.clone, _if_bits(0, _CLONE_THREAD)),
        *_when(processor.clone3, [no_call]),  # its flags cannot be seen; the C library then uses clone
        *_when(processor.tgkill, _if_equal(0, process_id)),
        _refuse(errno.EPERM),
    ]


def _when(number: int, steps: list[_Instruction]) -> list[_Instruction]:
    """Run steps, which must end in returns, for one system call, and pass over them for others."""
    return [(_IF_EQUAL, 0, len(steps), number), *steps]


def _unless_bits(argument: int, bits: int) -> list[_Instruction]:
    return [_argument(argument), (_IF_ANY_BIT, 1, 0, bits), _return(_ALLOW), _refuse(errno.EPERM)]


def _if_bits(argument: int, bits: int) -> list[_Instruction]:
    return [_argument(argument), (_IF_ANY_BIT, 0, 1, bits), _return(_ALLOW), _refuse(errno.EPERM)]


def _if_equal(argument: int, value: int) -> list[_Instruction]:
    return [_argument(argument), (_IF_EQUAL, 0, 1, value), _return(_ALLOW), _refuse(errno.EPERM)]


def _mapping() -> list[_Instruction]:
    """Let memory be mapped; executable only from a file, and never writable as well."""
    return [
        _argument(2),
        (_IF_ANY_BIT, 1, 0, _PROT_EXEC),
        _return(_ALLOW),
        (_IF_ANY_BIT, 3, 0, _PROT_WRITE),
        _argument(3),
        (_IF_ANY_BIT, 1, 0, _MAP_ANONYMOUS),
        _return(_ALLOW),
        _refuse(errno.EPERM),
    ]


def _argument(index: int) -> _Instruction:
    """Load the lower half of an argument: flags and process ids are 32-bit."""
    return (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * index)


def _return(value: int) -> _Instruction:
    return (_RETURN, 0, 0, value)


def _refuse(code: int) -> _Instruction:
    return _return(_REFUSE | code)


def _packed(instruction: _Instruction) -> bytes:
    code, if_true, if_false, value = instruction
    return code.to_bytes(2, "little") + bytes([if_true, if_false]) + value.to_bytes(4, "little")
