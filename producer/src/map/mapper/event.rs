//! Makes the event of a record: its columns, its id and its attributes. The error is a rejection.

use std::borrow::Cow;

use bytes::Bytes;
use common::FileId;
use common::event::{ORIGIN_COLUMN, Reason};
use common::wire::{EventMessage, Text, VERSION};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::Mapper;
use crate::csv::records::Field;
use crate::map::reject::Rejection;
use crate::map::time::{TimeForm, timestamp};
use crate::map::{RowPosition, column, event_id, price, values};

impl Mapper {
    /// The event's type, the form of its time, and its JSON.
    pub(super) fn message(
        &self,
        record: &str,
        fields: &[Field],
        position: RowPosition,
        hashed: &mut Vec<u8>,
    ) -> Result<(String, TimeForm, Bytes), Rejection> {
        self.check_shape(record, fields)?;
        let replaces = self.replaced(record.as_bytes()).map_err(|error| Rejection {
            reason: Reason::BadOrigin,
            column: Some(ORIGIN_COLUMN),
            value: Some(fields[0].value(record).into_owned()),
            message: format!("column {ORIGIN_COLUMN}: {error}"),
            whole: None,
        })?;
        let value = |column: usize| {
            self.fields[column].map(|field| fields[field].value(record)).filter(|v| !v.is_empty())
        };
        if let Some(&column) = self.required.iter().find(|&&column| value(column).is_none()) {
            return Err(self.missing(column));
        }
        let text = |column| value(column).map(Text);
        let kind = value(column::EVENT_TYPE).unwrap_or_default();
        let event_type =
            self.mapping.types.resolve(&kind).map_err(|what| {
                self.at_column(column::EVENT_TYPE, &kind, (Reason::UnknownEventType, what))
            })?;
        let time = value(column::EVENT_TIMESTAMP).unwrap_or_default();
        let time = time.trim();
        let form = self.mapping.time_form.unwrap_or_else(|| TimeForm::of(time));
        let event_timestamp = timestamp(time, self.mapping.time_zone, form)
            .map_err(|refusal| self.at_column(column::EVENT_TIMESTAMP, time, refusal))?;
        let price = match value(column::PRICE) {
            None => None,
            Some(text) => Some(
                price::price(text.trim(), self.mapping.decimal)
                    .map_err(|refusal| self.at_column(column::PRICE, &text, refusal))?,
            ),
        };
        let ip_address = value(column::IP_ADDRESS);
        // PostgreSQL accepts no blanks around it, so it is sent without them.
        let ip_address = ip_address.as_deref().map(str::trim);
        if let Some(address) = ip_address {
            values::ip_address(address)
                .map_err(|refusal| self.at_column(column::IP_ADDRESS, address, refusal))?;
        }
        for column in [column::CUSTOMER_ID, column::PRODUCT_ID] {
            self.check_length(column, value(column).as_deref())?;
        }
        let (event_id, source_event_id) =
            self.event_id(record, fields, replaces.map_or(position.file, |origin| origin.file), hashed)?;
        let user_agent = value(column::USER_AGENT);
        let word = value(column::DEVICE_TYPE);
        let known = word.as_deref().and_then(|word| values::device(word.trim()));
        let device = known.or_else(|| user_agent.as_deref().map(values::device_of_user_agent));
        let odd_device = word.filter(|_| known.is_none());
        let attributes = self.attributes(record, fields, odd_device.as_deref());
        let (low, medium) = self.mapping.price_below;
        let message = EventMessage {
            v: VERSION,
            file_id: position.file,
            row: position.row,
            written_us: position.written_us,
            event_id,
            source_event_id: source_event_id.map(Text),
            event_type: Text(Cow::Borrowed(&event_type)),
            event_timestamp: event_timestamp.into(),
            customer_id: text(column::CUSTOMER_ID),
            customer_name: text(column::CUSTOMER_NAME),
            customer_email: text(column::CUSTOMER_EMAIL),
            customer_address: text(column::CUSTOMER_ADDRESS),
            session_id: text(column::SESSION_ID),
            user_agent: user_agent.map(Text),
            ip_address: ip_address.map(Text::from),
            product_id: text(column::PRODUCT_ID),
            product_name: text(column::PRODUCT_NAME),
            category: text(column::CATEGORY),
            brand: text(column::BRAND),
            sku: text(column::SKU),
            price_category: price.as_deref().map(|price| price::category(price, low, medium).into()),
            price: price.map(Text::from),
            device_type: device.map(Text::from),
            replaces,
            attributes: attributes.as_deref(),
        };
        let mut payload = Vec::with_capacity(record.len() + 512);
        serde_json::to_writer(&mut payload, &message).map_err(|error| {
            let message = format!("the row cannot be written as JSON: {error}");
            Rejection::of_row(Reason::UndecodableMessage, message)
        })?;
        Ok((event_type.into_owned(), form, payload.into()))
    }

    /// The id, and the file's own id if that is not a UUID. `file` is the file that the row belongs to.
    fn event_id<'a>(
        &self,
        record: &'a str,
        fields: &[Field],
        file: FileId,
        hashed: &mut Vec<u8>,
    ) -> Result<(Uuid, Option<Cow<'a, str>>), Rejection> {
        if let Some(field) = self.fields[column::EVENT_ID] {
            let id = fields[field].value(record);
            return match Uuid::try_parse(id.trim()) {
                Ok(uuid) => Ok((uuid, None)),
                Err(_) if id.trim().is_empty() => Err(self.missing(column::EVENT_ID)),
                Err(_) => Ok((event_id::of_own_id(&id, file, &self.mapping, hashed), Some(id))),
            };
        }
        let parts = &self.mapping.id_fields;
        let lacks = |field: usize| fields[field].value(record).trim().is_empty();
        if let Some(&empty) = parts.iter().find(|&&field| lacks(field)) {
            let column =
                self.fields.iter().position(|found| *found == Some(empty)).unwrap_or(column::EVENT_ID);
            return Err(self.missing(column));
        }
        Ok((self.id_fields.id(record, fields, hashed), None))
    }

    /// The fields that fill no column as a JSON object; `None` if all of them are empty.
    fn attributes(&self, record: &str, fields: &[Field], device: Option<&str>) -> Option<Box<RawValue>> {
        let mut json = String::from("{");
        let unmapped = self
            .mapping
            .attributes
            .iter()
            .map(|&field| (&*self.mapping.header[field], fields[field].value(record)));
        let device = device.map(|word| ("device_type", Cow::Borrowed(word)));
        for (name, value) in unmapped.chain(device).filter(|(_, value)| !value.is_empty()) {
            if json.len() > 1 {
                json.push(',');
            }
            json.push_str(&serde_json::to_string(name).ok()?);
            json.push(':');
            json.push_str(&serde_json::to_string(&*value).ok()?);
        }
        if json.len() == 1 {
            return None;
        }
        json.push('}');
        RawValue::from_string(json).ok()
    }
}
