-- Erasing people, keeping texts no longer than allowed, and lists of numbers not to call.

-- Of a person who was erased: when, and whether a DNC entry covered the number then. `phone` has the
-- client's place with a minus from then on, so that it is still one of its own in the campaign.
alter table clients add column erased_at integer;
alter table clients add column erased_on_dnc integer not null default 0;
