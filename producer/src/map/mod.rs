//! Header to mapping, record to message. What enters is a record with its position; what leaves is one message,
//! either the event or the reason why there is none.

mod event_type;
mod mapping;
mod resolve;
mod edited;
mod time;
mod price;
mod values;
mod event_id;
mod column_names;
mod column;
mod limits;
mod mapper;
mod reject;
mod digest;

pub(crate) use column_names::{renamed, with_names};
pub(crate) use digest::RowDigest;
pub use edited::{delimiter_of_edited, origin_of};
pub(crate) use event_type::EventTypeRule;
pub use limits::{Limits, MaxPayload};
pub(crate) use mapper::Mapper;
pub use mapper::{Mapped, RowPosition};
pub use mapping::Mapping;
pub(crate) use mapping::{Unmappable, delimiter_of, source_of};
pub use resolve::MappingRules;
pub(crate) use resolve::{MappedFile, original_of};
