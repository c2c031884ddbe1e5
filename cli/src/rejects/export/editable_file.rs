//! Writes rejected rows to a file that can be edited: origins and bytes enter, a CSV file with the rows' own header leaves.

use std::io::{self, BufWriter, Write as _};
use std::iter;
use std::path::{Path, PathBuf};

use common::Origin;
use common::event::ORIGIN_COLUMN;
use producer::csv::records::{Field, Split, Splitter};
use producer::land::{self, Error};
use producer::map::origin_of;
use tempfile::NamedTempFile;

/// A file with a temporary name. Dropped before it is finished, it is removed.
#[derive(Debug)]
pub(super) struct EditableFile {
    file: BufWriter<NamedTempFile>,
    dir: PathBuf,
    name: String,
    splitter: Splitter,
    /// How many columns the rows' own file has, if that is an edited file too.
    edited_columns: Option<usize>,
    fields: Vec<Field>,
}

impl EditableFile {
    /// Begins `name` in `dir`, for rows of a file that has this `header` and this delimiter.
    pub(super) fn begin(dir: &Path, name: &str, header: &[String], delimiter: char) -> Result<Self, Error> {
        let delimiter = u8::try_from(delimiter).unwrap_or(b',');
        let names = header.strip_prefix(&[ORIGIN_COLUMN.to_owned()]);
        let mut line = Vec::from(ORIGIN_COLUMN);
        for name in names.unwrap_or(header) {
            line.push(delimiter);
            let plain = !name.bytes().any(|byte| byte == delimiter || b"\"\r\n".contains(&byte));
            if plain {
                line.extend_from_slice(name.as_bytes());
            } else {
                quote(name.as_bytes(), &mut line);
            }
        }
        line.push(b'\n');
        let mut file = Self {
            file: BufWriter::new(land::part(dir, &format!("{name}."))?),
            dir: dir.to_owned(),
            name: name.to_owned(),
            splitter: Splitter { delimiter, comment: None },
            edited_columns: names.map(|_| header.len()),
            fields: Vec::new(),
        };
        file.write(&line)?;
        Ok(file)
    }

    /// Adds the row that was rejected at `origin` with these bytes. They are not changed if they are one record;
    /// otherwise, as with a quote that is never closed, they become one quoted field, so that the file stays readable.
    pub(super) fn row(&mut self, origin: Origin, raw: &[u8]) -> Result<(), Error> {
        let raw = self.without_origin(raw);
        let mut line = format!("{origin}{}", char::from(self.splitter.delimiter)).into_bytes();
        match self.splitter.split(raw, true, &mut self.fields) {
            Split::Record { next, .. } if next == raw.len() => line.extend_from_slice(raw),
            _ => quote(raw, &mut line),
        }
        line.push(b'\n');
        self.write(&line)
    }

    /// Gives the finished file its name. Never replaces a file.
    pub(super) fn finish(self) -> Result<PathBuf, Error> {
        let (dir, name, path) = (self.dir, self.name, self.file.get_ref().path().to_owned());
        let part = self.file.into_inner().map_err(|error| Error::on("write", &path)(error.into_error()))?;
        part.as_file().sync_all().map_err(Error::on("write", &path))?;
        land::place(part, &dir, iter::once(name))
    }

    /// A row of an edited file without its first field, which is replaced by the row's own origin.
    fn without_origin<'a>(&mut self, raw: &'a [u8]) -> &'a [u8] {
        let Some(columns) = self.edited_columns else { return raw };
        let delimiter = self.splitter.delimiter;
        let whole = matches!(self.splitter.split(raw, true, &mut self.fields), Split::Record { .. })
            && self.fields.len() == columns;
        if !whole && origin_of(raw, delimiter).is_err() {
            return raw;
        }
        let end = raw.iter().position(|byte| *byte == delimiter);
        end.map_or(&[][..], |end| &raw[end + 1..])
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let written: io::Result<()> = self.file.write_all(bytes);
        written.map_err(Error::on("write", self.file.get_ref().path()))
    }
}

fn quote(text: &[u8], line: &mut Vec<u8>) {
    line.push(b'"');
    for &byte in text {
        if byte == b'"' {
            line.push(b'"');
        }
        line.push(byte);
    }
    line.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exported(header: &[&str], rows: &[&[u8]]) -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let header: Vec<String> = header.iter().copied().map(str::to_owned).collect();
        let mut file = EditableFile::begin(dir.path(), "a.csv", &header, ',').unwrap();
        for (number, raw) in (1..).zip(rows) {
            file.row(Origin { file: 7.into(), row: number }, raw).unwrap();
        }
        std::fs::read(file.finish().unwrap()).unwrap()
    }

    #[test]
    fn rows_stay_as_they_are_behind_their_origin() {
        let rows: [&[u8]; 3] = [b"1,\"two\nlines\",\xff\0", b"few", b"2,\"a \"\"b\"\"\",c,many"];
        assert_eq!(
            exported(&["id", "a, b", "say \"c\""], &rows),
            b"millrace_origin,id,\"a, b\",\"say \"\"c\"\"\"\n\
              7:1,1,\"two\nlines\",\xff\0\n7:2,few\n7:3,2,\"a \"\"b\"\"\",c,many\n"
        );
    }

    #[test]
    fn bytes_that_are_no_record_become_one_field() {
        assert_eq!(
            exported(&["a", "b"], &[b"1,\"open", b"x"]),
            b"millrace_origin,a,b\n7:1,\"1,\"\"open\"\n7:2,x\n"
        );
    }

    #[test]
    fn a_row_that_was_edited_before_is_known_by_its_latest_origin() {
        let rows: [&[u8]; 5] = [b"3:4,1,2", b"no origin,1,2", b"3:4,1", b"3:4,\"open", b"the rest of a line"];
        assert_eq!(
            exported(&["millrace_origin", "a", "b"], &rows),
            b"millrace_origin,a,b\n7:1,1,2\n7:2,1,2\n7:3,1\n7:4,\"\"\"open\"\n7:5,the rest of a line\n"
        );
    }

    #[test]
    fn a_file_that_is_there_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a.csv"), "mine").unwrap();
        let file = EditableFile::begin(dir.path(), "a.csv", &["a".to_owned()], ',').unwrap();
        let error = file.finish().unwrap_err().to_string();
        assert!(error.contains("a.csv"), "{error}");
        assert_eq!(std::fs::read_to_string(dir.path().join("a.csv")).unwrap(), "mine");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
