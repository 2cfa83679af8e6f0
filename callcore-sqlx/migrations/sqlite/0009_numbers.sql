-- What a dashboard reads, in as many rows as it shows.

create index client_counts_to_follow_up on client_counts (campaign)
    where status = 'needs_follow_up' and clients > 0;
create index history_to_follow_up on history (ended_at, id) where review = 'needs_follow_up';
create index imports_with_rejects on imports (id) where report ->> '$.rejected' > 0;
