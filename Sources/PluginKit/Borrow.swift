// SPDX-License-Identifier: Apache-2.0
// A closure that C calls back only while the call runs, passed as a pointer to the closure itself on our stack.

typealias PairBody = (_ key: Bytes, _ value: Bytes) -> Bool
typealias BytesBody = (Bytes) -> Void

func withPairBody<R>(_ body: PairBody, _ call: (UnsafeMutableRawPointer) -> R) -> R {
    withoutActuallyEscaping(body) { body in
        var body = body
        return withUnsafeMutablePointer(to: &body) { call(UnsafeMutableRawPointer($0)) }
    }
}
var callPairBody: @convention(c) (UnsafeMutableRawPointer?, martlet_bytes, martlet_bytes) -> Bool {
    { user, key, value in
        user.unsafelyUnwrapped.assumingMemoryBound(to: PairBody.self).pointee(Bytes(key), Bytes(value))
    }
}
func withBytesBody<R>(_ body: BytesBody, _ call: (UnsafeMutableRawPointer) -> R) -> R {
    withoutActuallyEscaping(body) { body in
        var body = body
        return withUnsafeMutablePointer(to: &body) { call(UnsafeMutableRawPointer($0)) }
    }
}
var callBytesBody: @convention(c) (UnsafeMutableRawPointer?, martlet_bytes) -> Void {
    { user, value in user.unsafelyUnwrapped.assumingMemoryBound(to: BytesBody.self).pointee(Bytes(value)) }
}
