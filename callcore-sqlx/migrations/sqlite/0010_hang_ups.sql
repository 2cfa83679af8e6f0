-- Live calls that are to be hung up, until they are over. `due_at` is of the wall clock, and null
-- before anybody looked.
create table hang_ups (
    call blob primary key,
    waits integer not null,
    due_at integer
) strict, without rowid;
