//! What the crate accepts and we do not: ids that name two tokens, ids past 2^31, tokens that
//! appear twice, added tokens whose declared id is not the one they get. Each makes token ids that
//! are not those the model was trained with, silently. Depth is limited by serde_json (128).

use std::borrow::Cow;
use std::collections::hash_map::Entry;
use std::collections::HashMap;
use std::fmt;

use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use tokenizers::Tokenizer;

/// Unigram keeps its vocabulary in a tree as deep as the longest token and frees it recursively, so
/// an absurd token would overflow the stack. The longest in published vocabularies are some 500 bytes.
const LONGEST_TOKEN: usize = 4096;
const ID_LIMIT: u64 = 1 << 31;

#[derive(Deserialize)]
struct Added {
    id: u64,
    content: String,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    added_tokens: Vec<Added>,
    #[serde(rename = "model")]
    _model: Model,
}

#[derive(Deserialize)]
struct Model {
    #[serde(default, rename = "vocab")]
    _vocab: Vocabulary,
}

#[derive(Default)]
struct Vocabulary;

fn short<E: Error>(token: &str) -> Result<(), E> {
    if token.len() > LONGEST_TOKEN {
        return Err(E::custom(format!("a token of {} bytes; {LONGEST_TOKEN} are the limit", token.len())));
    }
    Ok(())
}

struct VocabularyVisitor;

impl<'de> Visitor<'de> for VocabularyVisitor {
    type Value = Vocabulary;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a map from tokens to ids, or a list of tokens with scores")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vocabulary, A::Error> {
        let mut by_id: HashMap<u64, Cow<'de, str>> = HashMap::new();
        let mut tokens: HashMap<Cow<'de, str>, ()> = HashMap::new();
        while let Some((Text(token), id)) = map.next_entry::<Text<'de>, u64>()? {
            short(&token)?;
            if id >= ID_LIMIT {
                return Err(A::Error::custom(format!("token {token:?} has id {id}; ids are below 2^31")));
            }
            if tokens.insert(token.clone(), ()).is_some() {
                return Err(A::Error::custom(format!("token {token:?} appears twice in the vocabulary")));
            }
            match by_id.entry(id) {
                Entry::Occupied(other) => {
                    let other = other.get();
                    return Err(A::Error::custom(format!(
                        "id {id} names two tokens, {other:?} and {token:?}"
                    )));
                }
                Entry::Vacant(place) => place.insert(token),
            };
        }
        Ok(Vocabulary)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vocabulary, A::Error> {
        while let Some((Text(token), _)) = list.next_element::<(Text<'de>, IgnoredAny)>()? {
            short(&token)?;
        }
        Ok(Vocabulary)
    }
}

impl<'de> Deserialize<'de> for Vocabulary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(VocabularyVisitor)
    }
}

/// A string borrowed from the JSON text where it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The rules that need the file alone.
pub fn before_loading(json: &str) -> Result<(), String> {
    let file: File = serde_json::from_str(json).map_err(|e| e.to_string())?;
    let mut by_id: HashMap<u64, &str> = HashMap::new();
    for token in &file.added_tokens {
        short::<serde_json::Error>(&token.content).map_err(|e| e.to_string())?;
        if token.id >= ID_LIMIT {
            return Err(format!("added token {:?} has id {}; ids are below 2^31", token.content, token.id));
        }
        if let Some(other) = by_id.insert(token.id, &token.content) {
            return Err(format!("id {} names two added tokens, {other:?} and {:?}", token.id, token.content));
        }
    }
    Ok(())
}

/// The crate numbers added tokens itself and only logs when the file says otherwise.
pub fn added_tokens(json: &str, tokenizer: &Tokenizer) -> Result<(), String> {
    #[derive(Deserialize)]
    struct Tokens {
        #[serde(default)]
        added_tokens: Vec<Added>,
    }
    let file: Tokens = serde_json::from_str(json).map_err(|e| e.to_string())?;
    for token in file.added_tokens.iter().filter(|t| !t.content.is_empty()) {
        let given = tokenizer.token_to_id(&token.content).map(u64::from);
        if given != Some(token.id) {
            return Err(format!(
                "added token {:?} says id {}, but its place in the vocabulary is {}",
                token.content,
                token.id,
                given.map_or("none".to_string(), |id| id.to_string())
            ));
        }
    }
    Ok(())
}
