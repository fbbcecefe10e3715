// Teaches the thread sanitizer Swift's Mutex, for a run of the tests: loaded before the standard library.
//
// `Synchronization.Mutex` takes a free lock with an atomic instruction in our own code, which the sanitizer sees. A lock
// that is held is waited for inside the standard library, which is not instrumented: the sanitizer sees neither the
// wait nor the hand-over and reports what the lock protects as a race. A correct program of five lines does it:
//
//     let list = Mutex<[Int]>([])
//     DispatchQueue.concurrentPerform(iterations: 4) { _ in
//         for i in 0..<50_000 { list.withLock { $0.append(i) } }
//     }
//
// So the three functions of the slow path are wrapped here, and say to the sanitizer what they do. Nothing is
// suppressed: a race beside a Mutex is found as before.
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>

// Weak: this is loaded into the programs around the tests as well, which have no sanitizer.
__attribute__((weak)) void __tsan_acquire(void *address);
__attribute__((weak)) void __tsan_release(void *address);

#define swift_function __attribute__((swiftcall))
#define swift_self __attribute__((swift_context))

#define LOCK "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define TRY_LOCK "$s15Synchronization12_MutexHandleV12_tryLockSlowSbyF"
#define UNLOCK "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

swift_function void lock_slow(uint32_t thread, swift_self void *mutex) __asm__(LOCK);
swift_function bool try_lock_slow(swift_self void *mutex) __asm__(TRY_LOCK);
swift_function void unlock_slow(swift_self void *mutex) __asm__(UNLOCK);

typedef swift_function void (*lock_function)(uint32_t thread, swift_self void *mutex);
typedef swift_function bool (*try_lock_function)(swift_self void *mutex);
typedef swift_function void (*unlock_function)(swift_self void *mutex);

static lock_function next_lock;
static try_lock_function next_try_lock;
static unlock_function next_unlock;

__attribute__((constructor)) static void find_next(void) {
    next_lock = (lock_function)dlsym(RTLD_NEXT, LOCK);
    next_try_lock = (try_lock_function)dlsym(RTLD_NEXT, TRY_LOCK);
    next_unlock = (unlock_function)dlsym(RTLD_NEXT, UNLOCK);
}

swift_function void lock_slow(uint32_t thread, swift_self void *mutex) {
    next_lock(thread, mutex);
    if (__tsan_acquire) __tsan_acquire(mutex);
}

swift_function bool try_lock_slow(swift_self void *mutex) {
    bool is_locked = next_try_lock(mutex);
    if (is_locked && __tsan_acquire) __tsan_acquire(mutex);
    return is_locked;
}

swift_function void unlock_slow(swift_self void *mutex) {
    if (__tsan_release) __tsan_release(mutex);
    next_unlock(mutex);
}
