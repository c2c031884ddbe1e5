-- Whether a table of this name ($1) exists, and what its comment says.
select to_regclass($1) is not null, obj_description(to_regclass($1), 'pg_class');
