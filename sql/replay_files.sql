-- The files that a person means by a path, a name or an id ($1).
select file_id from files where path = $1 or path like '%/' || replace(replace($1, '%', '\%'), '_', '\_') or file_id::text = $1;
