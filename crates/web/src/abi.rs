//! The functions that JavaScript calls.
//!
//! JavaScript writes a request into memory that [`fourtuple_alloc`] gave it, and reads the answer
//! from where [`fourtuple_answer`] says. Both sides free what the other one made with
//! [`fourtuple_free`].

#![expect(
    unsafe_code,
    reason = "JavaScript passes memory by address and length; nothing else does"
)]

#[link(wasm_import_module = "page")]
unsafe extern "C" {
    /// Hears how many of how many parts of long work are done.
    safe fn progress(done: u32, of: u32);
}

/// Gives memory of a length in bytes, to be written by JavaScript.
#[unsafe(no_mangle)]
pub extern "C" fn fourtuple_alloc(len: usize) -> *mut u8 {
    let bytes: Box<[u8]> = vec![0; len].into();
    Box::into_raw(bytes).cast()
}

/// Frees memory.
///
/// # Safety
/// The address and the length are those of [`fourtuple_alloc`], or those of an answer, and neither
/// is used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fourtuple_free(at: *mut u8, len: usize) {
    let bytes = std::ptr::slice_from_raw_parts_mut(at, len);
    // SAFETY: the caller passes what `Box::into_raw` gave for a box of that length.
    drop(unsafe { Box::from_raw(bytes) });
}

/// Answers a request, whose memory is freed: the address of the answer in the upper half, its
/// length in bytes in the lower half.
///
/// # Safety
/// The address and the length are those of [`fourtuple_alloc`], whose memory was written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fourtuple_answer(at: *mut u8, len: usize) -> u64 {
    let bytes = std::ptr::slice_from_raw_parts_mut(at, len);
    // SAFETY: the caller passes what `fourtuple_alloc` gave for that length.
    let request = unsafe { Box::from_raw(bytes) };
    let request = String::from_utf8_lossy(&request).into_owned();
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let answer = crate::answer(&request, &mut |done, of| progress(count(done), count(of)));
    let answer = answer.into_bytes().into_boxed_slice();
    let len = answer.len() as u64;
    let at = Box::into_raw(answer).cast::<u8>() as usize as u64;
    at << 32 | len
}
