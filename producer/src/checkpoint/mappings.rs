//! Mappings in memory. Files of one kind are mapped alike, and there may be many of them: each mapping is kept once.

use std::collections::HashMap;
use std::sync::Arc;

use crate::checkpoint::Checkpoint;
use crate::map::Mapping;

/// Mappings by what they are on disk.
#[derive(Debug, Default)]
pub(super) struct Mappings(HashMap<Vec<u8>, Arc<Mapping>>);

impl Mappings {
    /// Lets a checkpoint have the mapping in common with others that have the same one.
    pub(super) fn share(&mut self, checkpoint: &mut Checkpoint) {
        if let Some(mapping) = &mut checkpoint.mapping
            && let Ok(json) = serde_json::to_vec(mapping)
        {
            *mapping = self.0.entry(json).or_insert_with(|| Arc::clone(mapping)).clone();
        }
    }
}
