//! The rejected rows of one file: what is known of them enters, a file that can be edited leaves.

use std::collections::BTreeMap;
use std::path::Path;

use common::config::Config;
use ledger::rejects::{ByFile, Filter, Rejects};

use super::editable_file::EditableFile;
use super::report::{LeftOut, Report, WrittenFile};
use super::row_bytes::RowBytes;

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
        report: &mut Report,
    ) -> anyhow::Result<()> {
        let mut file = EditableFile::begin(dir, &self.name, &self.header, self.delimiter)?;
        let mut left_out: BTreeMap<String, LeftOut> = BTreeMap::new();
        let mut bytes = RowBytes::new(config, self.file_id.into());
        let (mut rows, mut after) = (0, 0);
        loop {
            let page = table.of_file(filter, self.file_id, after).await?;
            let Some(last) = page.last().and_then(|reject| reject.origin) else { break };
            after = last.row;
            for reject in page {
                let example = reject.to_string();
                let Some(origin) = reject.origin else { continue };
                match bytes.of(reject, origin.row) {
                    Ok(raw) => {
                        file.row(origin, &raw)?;
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
        report.left_out.extend(left_out.into_values());
        if rows > 0 {
            report.files.push(WrittenFile { file: file.finish()?, rows });
            report.rows += rows;
        }
        Ok(())
    }
}
