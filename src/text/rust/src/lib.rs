//! C interface of the tokenizer; `src/text/tokenizer.cc` is its only caller and declares the same
//! functions. Every function catches panics: none crosses into C++, and none prints.

mod check;
mod quiet;

use std::ops::Range;
use std::slice;
use std::str::FromStr;

use tokenizers::models::ModelWrapper;
use tokenizers::{Encoding, PostProcessor, Tokenizer};

/// Bytes handed to C++; freed by `octavo_bytes_free`. `data` is null when there are none.
#[repr(C)]
pub struct Bytes {
    data: *mut u8,
    size: usize,
}

/// Token ids handed to C++; freed by `octavo_ids_free`.
#[repr(C)]
pub struct Ids {
    ids: *mut u32,
    type_ids: *mut u32,
    size: usize,
    full_size: usize,
}

/// The tokens of one text handed to C++; freed by `octavo_pieces_free`. `spans` holds, for each, its first
/// byte in the text and the one behind its last.
#[repr(C)]
pub struct Pieces {
    ids: *mut u32,
    spans: *mut usize,
    special: *mut u8,
    size: usize,
}

/// The C++ side maps these to octavo::Code.
const OK: i32 = 0;
const INVALID: i32 = 1;
const INTERNAL: i32 = 2;

struct Failure {
    code: i32,
    message: String,
}

fn invalid(message: impl ToString) -> Failure {
    Failure { code: INVALID, message: message.to_string() }
}

/// Runs `work`, turns an error or a panic into a code and a message.
fn guarded(error: *mut Bytes, work: impl FnOnce() -> Result<(), Failure>) -> i32 {
    let failure = match quiet::catch(work) {
        Ok(Ok(())) => return OK,
        Ok(Err(failure)) => failure,
        Err(panic) => Failure { code: INTERNAL, message: panic },
    };
    unsafe { error.write(into_bytes(failure.message.into_bytes())) };
    failure.code
}

fn into_bytes(bytes: Vec<u8>) -> Bytes {
    let boxed = bytes.into_boxed_slice();
    let size = boxed.len();
    Bytes { data: Box::into_raw(boxed) as *mut u8, size }
}

fn into_raw<T: Copy>(values: &[T]) -> *mut T {
    Box::into_raw(values.to_vec().into_boxed_slice()) as *mut T
}

/// `slice::from_raw_parts` wants a non-null pointer even for no bytes.
unsafe fn view<'a, T>(data: *const T, size: usize) -> &'a [T] {
    if size == 0 {
        &[]
    } else {
        slice::from_raw_parts(data, size)
    }
}

fn load(json: &str) -> Result<Tokenizer, Failure> {
    check::before_loading(json).map_err(invalid)?;
    let mut tokenizer = Tokenizer::from_str(json).map_err(invalid)?;
    check::added_tokens(json, &tokenizer).map_err(invalid)?;
    tokenizer.with_padding(None);
    tokenizer.with_truncation(None).map_err(invalid)?;
    // BPE dropout is a training aid: it draws random numbers, and a text would have many tokenizations.
    if let ModelWrapper::BPE(bpe) = tokenizer.get_model() {
        if bpe.dropout.is_some() {
            let mut plain = bpe.clone();
            plain.dropout = None;
            tokenizer.with_model(plain);
        }
    }
    // The crate does not check a post-processor when it reads one; a bad one shows at any text.
    encode(&tokenizer, "", 0, false)?;
    Ok(tokenizer)
}

/// Some of the tokens; what the crate's own `truncate` does, less the overflow pieces it builds.
fn part(encoding: &Encoding, kept: Range<usize>) -> Encoding {
    Encoding::new(
        encoding.get_ids()[kept.clone()].to_vec(),
        encoding.get_type_ids()[kept.clone()].to_vec(),
        encoding.get_tokens()[kept.clone()].to_vec(),
        encoding.get_word_ids()[kept.clone()].to_vec(),
        encoding.get_offsets()[kept.clone()].to_vec(),
        encoding.get_special_tokens_mask()[kept.clone()].to_vec(),
        encoding.get_attention_mask()[kept].to_vec(),
        vec![],
        Default::default(),
    )
}

fn encode(
    tokenizer: &Tokenizer,
    text: &str,
    max_length: usize,
    cut_start: bool,
) -> Result<(Encoding, usize), Failure> {
    // Without the special tokens first, so that only text is cut, then with them.
    let mut encoding = tokenizer.encode_fast(text, false).map_err(invalid)?;
    let special = tokenizer.get_post_processor().map_or(0, |p| p.added_tokens(false));
    let full = encoding.len() + special;
    if max_length != 0 && full > max_length {
        if special > max_length {
            return Err(invalid(format!(
                "the maximum length {max_length} has no room for the {special} special tokens; use at least {}",
                special + 1
            )));
        }
        let keep = max_length - special;
        let first = if cut_start { encoding.len() - keep } else { 0 };
        encoding = part(&encoding, first..first + keep);
    }
    let cut = encoding.len() + special < full;
    let encoding = tokenizer.post_process(encoding, None, true).map_err(invalid)?;
    if max_length != 0 && encoding.len() > max_length {
        return Err(invalid(
            "the post-processor repeats the text, so that it cannot be cut to a maximum length",
        ));
    }
    let full = if cut { full } else { encoding.len() };
    Ok((encoding, full))
}

/// On success `*out` is a tokenizer to be freed by `octavo_tokenizer_free`.
///
/// # Safety
/// `json` points at `size` readable bytes; `out` and `error` may be written.
#[no_mangle]
pub unsafe extern "C" fn octavo_tokenizer_new(
    json: *const u8,
    size: usize,
    out: *mut *mut Tokenizer,
    error: *mut Bytes,
) -> i32 {
    guarded(error, || {
        let json = std::str::from_utf8(view(json, size))
            .map_err(|e| invalid(format!("not UTF-8 at byte {}", e.valid_up_to())))?;
        let tokenizer = load(json)?;
        out.write(Box::into_raw(Box::new(tokenizer)));
        Ok(())
    })
}

/// # Safety
/// `tokenizer` came from `octavo_tokenizer_new` and is used no more.
#[no_mangle]
pub unsafe extern "C" fn octavo_tokenizer_free(tokenizer: *mut Tokenizer) {
    let _ = quiet::catch(|| drop(Box::from_raw(tokenizer)));
}

/// Bytes that are not UTF-8 become U+FFFD, one for each maximal ill-formed sequence as in WHATWG
/// decoding and Python's `errors="replace"`.
///
/// # Safety
/// `text` points at `size` readable bytes; `out` and `error` may be written.
#[no_mangle]
pub unsafe extern "C" fn octavo_tokenizer_encode(
    tokenizer: *const Tokenizer,
    text: *const u8,
    size: usize,
    max_length: usize,
    cut_start: bool,
    out: *mut Ids,
    error: *mut Bytes,
) -> i32 {
    guarded(error, || {
        let text = String::from_utf8_lossy(view(text, size));
        let (encoding, full_size) = encode(&*tokenizer, &text, max_length, cut_start)?;
        out.write(Ids {
            ids: into_raw(encoding.get_ids()),
            type_ids: into_raw(encoding.get_type_ids()),
            size: encoding.len(),
            full_size,
        });
        Ok(())
    })
}

/// # Safety
/// `text` points at `size` readable bytes; `out` and `error` may be written.
#[no_mangle]
pub unsafe extern "C" fn octavo_tokenizer_pieces(
    tokenizer: *const Tokenizer,
    text: *const u8,
    size: usize,
    add_special: bool,
    out: *mut Pieces,
    error: *mut Bytes,
) -> i32 {
    guarded(error, || {
        let text = String::from_utf8_lossy(view(text, size));
        // In the two steps of encode(), so that the tokens are the same whatever the post-processor does.
        let mut encoding = (*tokenizer).encode(&*text, false).map_err(invalid)?;
        if add_special {
            encoding = (*tokenizer).post_process(encoding, None, true).map_err(invalid)?;
        }
        let spans: Vec<usize> =
            encoding.get_offsets().iter().flat_map(|&(start, stop)| [start, stop]).collect();
        let special: Vec<u8> = encoding.get_special_tokens_mask().iter().map(|&s| s as u8).collect();
        out.write(Pieces {
            ids: into_raw(encoding.get_ids()),
            spans: into_raw(&spans),
            special: into_raw(&special),
            size: encoding.len(),
        });
        Ok(())
    })
}

/// # Safety
/// `ids` points at `size` readable numbers; `out` and `error` may be written.
#[no_mangle]
pub unsafe extern "C" fn octavo_tokenizer_decode(
    tokenizer: *const Tokenizer,
    ids: *const u32,
    size: usize,
    skip_special: bool,
    out: *mut Bytes,
    error: *mut Bytes,
) -> i32 {
    guarded(error, || {
        let text = (*tokenizer).decode(view(ids, size), skip_special).map_err(invalid)?;
        out.write(into_bytes(text.into_bytes()));
        Ok(())
    })
}

/// `*out` stays null when there is no such id.
///
/// # Safety
/// `out` and `error` may be written.
#[no_mangle]
pub unsafe extern "C" fn octavo_tokenizer_token(
    tokenizer: *const Tokenizer,
    id: u32,
    out: *mut Bytes,
    error: *mut Bytes,
) -> i32 {
    use tokenizers::Model;
    guarded(error, || {
        let tokenizer = &*tokenizer;
        // Not Tokenizer::id_to_token: that gives an added token in its normalized form.
        let added = tokenizer.get_added_vocabulary().get_added_tokens_decoder().get(&id);
        let token = added.map(|t| t.content.clone()).or_else(|| tokenizer.get_model().id_to_token(id));
        if let Some(token) = token {
            out.write(into_bytes(token.into_bytes()));
        }
        Ok(())
    })
}

/// -1 when there is no such token.
///
/// # Safety
/// `token` points at `size` readable bytes; `out` and `error` may be written.
#[no_mangle]
pub unsafe extern "C" fn octavo_tokenizer_id(
    tokenizer: *const Tokenizer,
    token: *const u8,
    size: usize,
    out: *mut i64,
    error: *mut Bytes,
) -> i32 {
    guarded(error, || {
        let token = std::str::from_utf8(view(token, size)).ok();
        let id = token.and_then(|t| (*tokenizer).token_to_id(t));
        out.write(id.map_or(-1, i64::from));
        Ok(())
    })
}

/// Tokens of the model's vocabulary and the added ones.
///
/// # Safety
/// `out` and `error` may be written.
#[no_mangle]
pub unsafe extern "C" fn octavo_tokenizer_vocabulary_size(
    tokenizer: *const Tokenizer,
    out: *mut usize,
    error: *mut Bytes,
) -> i32 {
    guarded(error, || {
        out.write((*tokenizer).get_vocab_size(true));
        Ok(())
    })
}

/// # Safety
/// `bytes` was written by a function of this file and is used no more.
#[no_mangle]
pub unsafe extern "C" fn octavo_bytes_free(bytes: Bytes) {
    if !bytes.data.is_null() {
        drop(Box::from_raw(std::ptr::slice_from_raw_parts_mut(bytes.data, bytes.size)));
    }
}

/// # Safety
/// `ids` was written by `octavo_tokenizer_encode` and is used no more.
#[no_mangle]
pub unsafe extern "C" fn octavo_ids_free(ids: Ids) {
    drop(Box::from_raw(std::ptr::slice_from_raw_parts_mut(ids.ids, ids.size)));
    drop(Box::from_raw(std::ptr::slice_from_raw_parts_mut(ids.type_ids, ids.size)));
}

/// # Safety
/// `pieces` was written by `octavo_tokenizer_pieces` and is used no more.
#[no_mangle]
pub unsafe extern "C" fn octavo_pieces_free(pieces: Pieces) {
    drop(Box::from_raw(std::ptr::slice_from_raw_parts_mut(pieces.ids, pieces.size)));
    drop(Box::from_raw(std::ptr::slice_from_raw_parts_mut(pieces.spans, 2 * pieces.size)));
    drop(Box::from_raw(std::ptr::slice_from_raw_parts_mut(pieces.special, pieces.size)));
}
