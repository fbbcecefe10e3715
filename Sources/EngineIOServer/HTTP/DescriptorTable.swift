import Glibc

/// The process's table of descriptors, which the kernel doubles as connections come.
///
/// To exchange it under several threads the kernel waits until each of them has been elsewhere, which takes about ten
/// milliseconds. In a storm the loop stands still for that long at the 256th connection, the 512th, the 1,024th and so
/// on; a table that has grown never shrinks, so all of it is paid at the start.
enum DescriptorTable {
    /// Half a mebibyte of the kernel's memory.
    private static let size: Int32 = 65_536

    /// Makes room for as many descriptors as that, or as the process may have.
    static func reserve() {
        let some = open("/dev/null", O_RDONLY | O_CLOEXEC)
        guard some >= 0 else { return }
        var highest = Self.size - 1
        // Beyond the limit the number itself is refused; half of it may do.
        while highest > some {
            let copy = fcntl(some, F_DUPFD_CLOEXEC, highest)
            if copy >= 0 {
                close(copy)
                break
            }
            highest /= 2
        }
        close(some)
    }
}
