import Glibc

/// Starts a thread that nobody joins.
///
/// - Parameters:
///   - context: handed to `body`, which owns it from then on; if the thread cannot be started, the caller still does.
/// - Returns: 0, or the error number.
func startDetachedThread(
    stackBytes: Int,
    context: UnsafeMutableRawPointer,
    _ body: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer?
) -> Int32 {
    var attributes = pthread_attr_t()
    unsafe pthread_attr_init(&attributes)
    unsafe pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    unsafe pthread_attr_setstacksize(&attributes, stackBytes)
    defer { unsafe pthread_attr_destroy(&attributes) }
    var thread = pthread_t()
    return unsafe pthread_create(&thread, &attributes, body, context)
}
