//! Names for columns that have none of their own: an attribute is kept under its column's name, so no two columns may
//! share one.

use std::collections::{HashMap, HashSet};

/// The header with a name of its own for each column. A column without one is called by its number, `column_3`, and a
/// second `note` is `note_2`. What has names of its own already stays as it is.
pub(crate) fn with_names(header: Vec<String>) -> Vec<String> {
    let given: HashSet<String> = header.iter().cloned().collect();
    let mut taken = HashSet::new();
    // The number of the next column of each name; a header may have many thousand of one.
    let mut next = HashMap::new();
    let mut name = |(field, name): (usize, String)| {
        if !name.is_empty() && taken.insert(name.clone()) {
            return name;
        }
        let (stem, first) = if name.is_empty() { ("column", field + 1) } else { (name.as_str(), 2) };
        let number = next.entry(name.clone()).or_insert(first);
        *number = first.max(*number);
        loop {
            let numbered = format!("{stem}_{number}");
            *number += 1;
            if !given.contains(&numbered) && taken.insert(numbered.clone()) {
                return numbered;
            }
        }
    };
    header.into_iter().enumerate().map(&mut name).collect()
}

/// A sentence about the columns of `header` that are called otherwise in `names`; `None` where there are none.
pub(crate) fn renamed(header: &[String], names: &[String]) -> Option<String> {
    let renamed: Vec<String> = (1..)
        .zip(header.iter().zip(names))
        .filter(|(_, (name, called))| name != called)
        .map(|(number, (_, called))| format!("column {number} is called \"{called}\""))
        .collect();
    (!renamed.is_empty()).then(|| format!("has columns without a name of their own: {}", renamed.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(header: &str) -> String {
        with_names(header.split(',').map(str::to_owned).collect()).join(",")
    }

    #[test]
    fn each_column_has_a_name_of_its_own() {
        assert_eq!(names("a,b"), "a,b");
        assert_eq!(names("note,note,,note,"), "note,note_2,column_3,note_3,column_5");
        assert_eq!(names("note,note_2,note,column_4,"), "note,note_2,note_3,column_4,column_5");
        assert_eq!(names(",column_1"), "column_2,column_1");
    }

    #[test]
    fn many_columns_of_one_name_take_no_longer_than_others() {
        let many = with_names(vec!["a".to_owned(); 100_000]);
        assert_eq!((many[1].as_str(), many[99_999].as_str()), ("a_2", "a_100000"));
        assert_eq!(with_names(vec![String::new(); 100_000])[99_999], "column_100000");
    }

    #[test]
    fn columns_that_are_called_otherwise_are_said() {
        let header: Vec<String> = ["note", "", "note"].map(str::to_owned).into();
        let names = with_names(header.clone());
        assert_eq!(
            renamed(&header, &names).as_deref(),
            Some(
                "has columns without a name of their own: column 2 is called \"column_2\", column 3 is called \"note_2\""
            )
        );
        assert_eq!((renamed(&names, &names), with_names(names.clone())), (None, names));
    }
}
