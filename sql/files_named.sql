-- The files that somebody means by $1: a path, the end of one, or an id.
select file_id, path, closed_at is not null as closed
from files
where path = $1 or right(path, length($1) + 1) = '/' || $1 or file_id::text = $1
order by path, file_id;
