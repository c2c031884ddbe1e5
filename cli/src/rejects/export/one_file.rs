//! The rejected rows of one file: what is known of them enters, a file that can be edited leaves.

use std::collections::BTreeMap;
use std::path::Path;

use common::FileId;
use common::config::Config;
use ledger::rejects::{ByFile, Filter, Reject, Rejects};
use producer::rejects::{self, RowBytes, RowBytesError};

use super::written::{LeftOut, Written, WrittenFile};

/// Rows of one file, and where they go.
#[derive(Debug)]
pub(super) struct Plan {
    file_id: i64,
    /// The name under which they are written.
    pub(super) name: String,
    header: Vec<String>,
    delimiter: char,
}

impl Plan {
    /// The error says why none of them can be written.
    pub(super) fn of(file: &ByFile) -> Result<Self, LeftOut> {
        let left_out = |why: &str| LeftOut { rows: file.rejects, example: None, why: why.to_owned() };
        let Some(file_id) = file.file_id else {
            return Err(left_out("they do not say which row of which file they are"));
        };
        let (Some(path), Some(header)) = (&file.path, file.header.clone()) else {
            return Err(left_out(&format!("the header of file {file_id} is not known")));
        };
        let name = path.rsplit('/').next().unwrap_or(path);
        let dot = [".csv", ".tsv"].iter().find_map(|ending| name.rfind(ending)).unwrap_or(name.len());
        let ending = if name[dot..].starts_with(".tsv") { ".tsv" } else { ".csv" };
        let name = format!("{}.{file_id}{ending}", &name[..dot]);
        Ok(Self { file_id, name, header, delimiter: file.delimiter.unwrap_or(',') })
    }

    /// Writes the rows a page at a time, so that memory does not grow with their number.
    pub(super) async fn write(
        self,
        dir: &Path,
        config: &Config,
        (table, filter): (&mut Rejects, &Filter),
        written: &mut Written,
    ) -> anyhow::Result<()> {
        let mut export = rejects::Export::begin(dir, &self.name, &self.header, self.delimiter)?;
        let mut left_out: BTreeMap<String, LeftOut> = BTreeMap::new();
        let mut source = Source { config, file: self.file_id.into(), row_bytes: None };
        let (mut rows, mut after) = (0, 0);
        loop {
            let page = table.of_file(filter, self.file_id, after).await?;
            let Some(last) = page.last().and_then(|reject| reject.origin) else { break };
            after = last.row;
            for reject in page {
                let example = reject.to_string();
                let Some(origin) = reject.origin else { continue };
                match source.raw(reject, origin.row) {
                    Ok(raw) => {
                        export.row(origin, &raw)?;
                        rows += 1;
                    }
                    Err(why) => {
                        let example = Some(example);
                        let same = left_out.entry(why.clone());
                        same.or_insert(LeftOut { rows: 0, example, why }).rows += 1;
                    }
                }
            }
        }
        written.left_out.extend(left_out.into_values());
        if rows > 0 {
            written.files.push(WrittenFile { file: export.finish()?, rows });
            written.rows += rows;
        }
        Ok(())
    }
}

/// Where rows come from of which the table has not all: their file, opened when the first one is asked for.
struct Source<'a> {
    config: &'a Config,
    file: FileId,
    row_bytes: Option<Result<RowBytes, String>>,
}

impl Source<'_> {
    /// The row as it stands in its file; the error is a sentence about why it is not known.
    fn raw(&mut self, reject: Reject, row: i64) -> Result<Vec<u8>, String> {
        // What is kept of a row that was rejected later is the message that brought it.
        if reject.stage == "producer" && !reject.truncated {
            return Ok(reject.raw);
        }
        let row_bytes = self.row_bytes.get_or_insert_with(|| {
            RowBytes::open(self.config, self.file)
                .map_err(|error| format!("their file is needed, but {}", line(error)))
        });
        row_bytes.as_mut().map_err(|why| why.clone())?.row(row).map_err(line)
    }
}

fn line(error: RowBytesError) -> String {
    format!("{:#}", anyhow::Error::new(error))
}
