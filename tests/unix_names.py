"""Names and modules of Python that Windows lacks; macOS lacks some of them too."""

_NAMES = {
    "os": """
    O_ACCMODE O_ASYNC O_CLOEXEC O_DIRECT O_DIRECTORY O_DSYNC O_FSYNC O_LARGEFILE O_NDELAY O_NOATIME O_NOCTTY
    O_NOFOLLOW O_NONBLOCK O_PATH O_RSYNC O_SYNC O_TMPFILE WCOREDUMP WEXITSTATUS WIFEXITED WIFSIGNALED
    WIFSTOPPED WNOHANG WSTOPSIG WTERMSIG WUNTRACED F_LOCK F_ULOCK F_TLOCK F_TEST RTLD_NOW RTLD_GLOBAL
    RTLD_LAZY SEEK_DATA SEEK_HOLE chown chroot confstr copy_file_range ctermid environb eventfd fchdir
    fchown fdatasync fork forkpty fpathconf fstatvfs fwalk getegid getenvb geteuid getgid getgrouplist
    getgroups getloadavg getpgid getpgrp getpriority getrandom getresgid getresuid getsid getuid getxattr
    initgroups killpg lchown listxattr lockf login_tty major makedev memfd_create minor mkfifo mknod nice
    openpty pathconf pidfd_open pipe2 posix_fadvise posix_fallocate posix_spawn posix_spawnp pread preadv
    pwrite pwritev readv register_at_fork removexattr sched_get_priority_max sched_getaffinity
    sched_getscheduler sched_setaffinity sched_setscheduler sched_yield sendfile setegid seteuid setgid
    setgroups setns setpgid setpgrp setpriority setregid setresgid setresuid setreuid setsid setuid setxattr
    spawnlp spawnvp splice statvfs sync sysconf tcgetpgrp tcsetpgrp timerfd_create ttyname uname unshare
    wait wait3 wait4 waitid writev
    """,
    "signal": """
    ITIMER_PROF ITIMER_REAL ITIMER_VIRTUAL SIGALRM SIGBUS SIGCHLD SIGCONT SIGHUP SIGIO SIGKILL SIGPIPE
    SIGPOLL SIGPROF SIGPWR SIGQUIT SIGSTOP SIGSYS SIGTRAP SIGTSTP SIGTTIN SIGTTOU SIGURG SIGUSR1 SIGUSR2
    SIGVTALRM SIGWINCH SIGXCPU SIGXFSZ SIG_BLOCK SIG_SETMASK SIG_UNBLOCK alarm getitimer pause pthread_kill
    pthread_sigmask setitimer siginterrupt sigpending sigtimedwait sigwait sigwaitinfo
    """,
    "time": """
    CLOCK_BOOTTIME CLOCK_MONOTONIC CLOCK_MONOTONIC_RAW CLOCK_PROCESS_CPUTIME_ID CLOCK_REALTIME CLOCK_TAI
    CLOCK_THREAD_CPUTIME_ID clock_getres clock_gettime clock_gettime_ns clock_settime tzset
    """,
    "select": """
    epoll kqueue poll devpoll PIPE_BUF
    """,
    "socket": """
    AF_UNIX CMSG_LEN fromshare socketpair
    """,
}
MISSING = {module: names.split() for module, names in _NAMES.items()}
MODULES = (
    "crypt", "curses", "fcntl", "grp", "nis", "ossaudiodev", "posix", "pty", "pwd", "readline", "resource",
    "spwd", "syslog", "termios", "tty",
)  # fmt: skip
