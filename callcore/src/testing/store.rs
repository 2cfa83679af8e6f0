//! The conformance suite for stores.
//!
//! ```no_run
//! # #[derive(Debug)] struct TheirStore;
//! use callcore::testing::StoreFactory;
//!
//! struct Fresh;
//!
//! #[async_trait::async_trait]
//! impl StoreFactory for Fresh {
//!     type Store = callcore::memory::MemoryStore;
//!     type Guard = ();
//!     async fn build(&self) -> ((), Self::Store) {
//!         ((), Self::Store::default())
//!     }
//! }
//!
//! callcore::store_conformance!(Fresh);
//! # fn main() {}
//! ```
//!
//! A case is named for the clause it belongs to and the property it shows; most take a fresh store,
//! those of [`events`] make many.

#![expect(
    missing_docs,
    reason = "a case's name says what it shows; a second sentence would repeat it"
)]

use async_trait::async_trait;

use crate::port::Store;

pub mod access;
pub mod account;
pub mod brakes;
pub mod by;
pub mod calls;
pub mod campaigns;
pub mod changes;
pub mod claims;
pub mod clients;
pub mod dispatch;
pub mod dnc;
pub mod endings;
pub mod events;
pub mod finding;
pub mod hang_ups;
pub mod imports;
pub mod inbound;
pub mod lists;
pub mod media;
pub mod numbers;
pub mod outbox;
pub mod people;
pub mod privacy;
pub mod results;
pub mod test_calls;
pub mod watch;

/// Makes fresh stores.
#[async_trait]
pub trait StoreFactory: Send + Sync {
    /// The store under test.
    type Store: Store;
    /// What has to live as long as the store, such as its directory.
    type Guard: Send;

    /// An empty store.
    async fn build(&self) -> (Self::Guard, Self::Store);

    /// How many orders of a set of events are tried, of up to 720, each on a fresh store. Fewer
    /// make a slow store's tests fast: the orders are then spread evenly.
    fn orders(&self) -> usize {
        720
    }
}

/// Makes one `#[tokio::test]` for each case of the conformance suite for stores. The argument is
/// an expression that makes a [`StoreFactory`](crate::testing::StoreFactory); the crate it stands
/// in needs `tokio` with `macros` and `rt`.
#[macro_export]
macro_rules! store_conformance {
    ($factory:expr $(,)?) => {
        $crate::store_conformance! { @each $factory;
            by {
                b1_people_leave_audit_rows_and_the_system_none
                b1_a_refused_request_leaves_no_audit_row
                b2_the_reply_is_stored_with_its_effect
                b2_a_second_request_under_a_key_changes_nothing
                b2_of_two_requests_at_once_under_a_key_one_is_done
                b2_a_refused_request_leaves_its_key_free
            }
            claims {
                d1_only_due_calls_of_running_campaigns_are_claimed
                d1_a_claim_brings_every_fact
                d1_a_call_a_person_asked_for_is_claimed_while_paused
                d1_claims_come_by_wish_priority_due_time_and_id
                d1_a_limit_takes_the_first_of_the_order
                d1_free_slots_hold_over_several_claimers
                d1_the_pace_holds_over_several_claimers
                d1_the_next_due_instant_is_that_of_running_campaigns_with_free_slots
                d2_a_claimed_call_is_not_claimed_again_until_its_lease_ends
                d2_leases_end_on_the_wall_clock_not_on_the_campaign_clock
                d2_whoever_lost_a_lease_can_neither_begin_nor_settle
                d2_an_ended_lease_nobody_took_over_still_loses_to_the_next
                d2_of_two_claimers_at_once_one_gets_each_call
            }
            hang_ups {
                d10_whoever_is_put_on_the_list_is_hung_up_until_the_call_is_over
                d10_a_list_an_erasure_and_a_stop_that_says_so_ask_for_it_too
                d10_a_call_is_returned_at_once_when_its_id_is_heard
                d10_waits_double_up_to_ten_minutes
                d10_a_call_that_goes_back_is_not_hung_up_later
                d10_who_opts_out_in_one_call_is_not_rung_on_by_another
            }
            dispatch {
                d3_begin_stores_the_intent_the_decision_and_the_attempt
                d3_a_batch_is_answered_permit_by_permit_in_order
                d3_one_number_has_one_live_call_over_all_campaigns
                d3_dials_in_another_campaign_count_in_caps_at_begin
                d3_a_permit_is_refused_once_its_window_closed
                d3_a_live_call_counts_after_every_lease_is_over
                d4_a_dnc_entry_between_claim_and_begin_wins
                d4_a_pause_between_claim_and_begin_wins
                d4_a_stop_between_claim_and_begin_wins
                d4_new_settings_between_claim_and_begin_win
                d4_begin_and_a_dnc_entry_at_once_take_turns
                d5_an_event_of_no_call_is_no_event
                d5_a_repeat_is_known_and_changes_nothing
                d6_a_deferred_call_waits_until_the_given_instant
                d6_a_retired_call_ends_with_its_reason
                d7_a_call_taken_back_waits_again_and_does_not_count
                d7_a_call_taken_back_may_wait_for_the_carrier
                d7_a_call_the_carrier_told_of_is_not_taken_back
                d7_a_call_taken_back_after_a_stop_or_a_dnc_entry_ends
                d8_a_begun_call_without_news_is_asked_about_until_it_ends
                d8_the_wait_between_two_questions_doubles
                d8_an_unknown_call_and_one_that_should_be_over_are_asked_about
                d8_the_latest_instant_of_a_change_is_kept
            }
            endings {
                d5_no_answer_then_busy_are_two_dials_in_all
                d5_voicemail_is_tried_thrice
                d5_a_voicemail_with_a_message_is_the_end
                d5_a_permanent_failure_is_not_retried
                d5_who_is_reached_is_not_called_again
                d5_a_late_verdict_plans_the_retry_and_reopens_the_campaign
                d5_later_evidence_withdraws_a_retry_that_has_not_begun
                d5_a_withdrawn_retry_is_not_begun_by_whoever_claimed_it
                d5_a_retry_that_began_stays_whatever_is_heard_of_the_first_call
                d5_an_unknown_call_is_given_up_and_a_late_word_corrects_it
                d5_a_call_that_turns_out_to_live_makes_its_campaign_run_again
                d5_no_retry_is_planned_where_the_hours_never_open_again
                d5_max_attempts_bounds_all_dials
                d5_one_batch_may_be_about_many_calls
                d5_retries_of_a_number_that_was_blocked_meanwhile_are_not_planned
            }
            campaigns {
                c1_settings_are_versioned_and_stale_changes_refused
                c1_a_live_call_keeps_the_settings_it_ran_under
                c2_run_states_change_as_they_may_and_no_other_way
                c2_a_campaign_without_clients_does_not_start
                c2_stop_cancels_what_is_scheduled_with_history_rows
                c4_a_finished_campaign_that_gets_a_client_runs_again
                c4_a_stopped_campaign_takes_no_clients
                c5_counters_equal_a_recount_after_every_step_of_a_day
                c7_every_version_of_the_settings_stays_readable
                c6_a_campaign_finishes_with_its_last_client
                c6_a_campaign_of_people_on_dnc_lists_finishes_when_it_starts
                c6_a_campaign_that_ended_while_paused_finishes_when_it_goes_on
                c5_campaigns_come_newest_first_and_by_state
            }
            clients {
                c3_each_row_is_answered_in_order_and_duplicates_name_their_line
                c3_a_taken_client_is_kept_whole_and_has_one_scheduled_call
                c3_a_client_on_a_dnc_list_is_taken_and_has_no_call
                c3_an_import_takes_rows_while_it_runs_and_keeps_its_report
                c3_clients_are_found_by_part_of_name_or_number
                c3_pages_of_clients_neither_repeat_nor_lose_while_rows_arrive
                c3_the_export_has_every_client_in_the_order_they_came_in
            }
            imports {
                i1_a_household_may_share_a_number_where_names_tell_people_apart
                i1_a_dnc_entry_cancels_the_calls_of_a_whole_household
                i2_an_update_follows_the_row_and_its_columns
                i2_an_updated_client_that_is_final_stays_so
                i2_a_row_may_update_one_that_came_in_just_before
                i3_an_external_id_is_in_a_campaign_once
                i4_known_clients_are_those_that_rows_may_repeat
                i5_refused_rows_come_back_in_their_order_until_taken_back
                i5_refused_rows_go_with_whoever_has_their_number
                i5_refused_rows_go_with_whoever_they_name
                i5_imports_come_newest_first
                i6_taking_back_removes_whoever_was_not_called
                i6_who_was_called_or_called_in_stays
                i6_what_an_import_updated_is_not_taken_back
                i6_many_clients_go_and_lists_neither_repeat_nor_lose
                i7_an_empty_campaign_waits_and_finishes_nothing
                i7_a_campaign_that_only_waited_for_the_removed_is_finished
                i8_a_draft_is_deleted_with_everything_that_is_its_own
                i8_test_calls_of_a_deleted_draft_are_nobodys
                i8_a_draft_goes_as_a_whole_or_not_at_all
                i8_only_a_draft_is_deleted
            }
            calls {
                l3_call_now_is_due_at_once_by_a_persons_wish
                l3_reschedule_moves_a_call_and_keeps_the_rules
                l3_a_claimed_live_or_ended_call_is_left_alone
                l3_a_draft_is_not_called_now_and_a_stopped_campaign_not_at_all
                l3_a_skipped_call_stands_in_the_history_and_ends_its_client
                l3_who_was_reached_stays_so_when_a_re_call_is_skipped
                l3_a_skipped_call_may_be_followed_by_the_next_attempt
                l4_retry_makes_a_new_call_by_a_persons_wish
                l4_retry_refuses_while_a_call_is_to_come_or_live
                l5_a_retry_makes_a_finished_campaign_run_again
            }
            lists {
                l1_a_call_has_one_id_from_scheduled_to_ended
                l1_many_calls_are_read_in_the_order_asked_for
                l1_a_transcript_keeps_its_lines_in_their_order
                l2_upcoming_has_every_scheduled_call_of_running_and_paused_campaigns
                l2_history_has_ended_skipped_and_inbound_calls
                l2_pages_of_a_history_neither_repeat_nor_lose_while_calls_end
                l2_pages_of_upcoming_calls_neither_repeat_nor_lose
                l2_a_call_that_comes_in_is_its_clients_and_recorded_once
                d8_an_inbound_call_is_live_until_it_ends_and_asked_about_when_it_should_have
                l2_calls_of_strangers_and_withheld_numbers_are_recorded
                l2_whoever_opts_out_while_calling_in_is_not_called
            }
            changes {
                p1_a_change_changes_what_is_given_and_notes_are_only_added
                p1_two_who_change_tags_at_once_lose_none
                p1_clients_of_one_number_stay_two
                p2_switching_off_cancels_what_is_scheduled
                p2_nothing_follows_a_live_call_of_a_client_switched_off
                p2_a_call_taken_back_from_a_client_switched_off_ends
                p2_switching_on_schedules_what_is_still_owed
                p2_what_is_not_owed_does_not_come_back
                p3_a_persons_zone_counts_before_the_files
                p4_a_change_of_zone_or_consent_takes_a_claimed_call_back
                p4_a_consent_schedules_again_what_lacked_it
                p5_a_client_is_called_by_its_scheduled_call_or_a_new_one
                p5_who_may_not_be_called_is_not_called_by_a_person_either
                p6_a_client_without_a_call_is_explained_like_one_with
                p7_the_open_calls_of_a_number_are_those_of_every_campaign
                l6_notes_are_added_to_a_call_in_every_state
                l6_an_ended_call_is_reviewed_and_labelled
                l6_an_erased_persons_calls_keep_and_take_no_notes
                l6_a_call_given_up_needs_follow_up_until_a_late_word
                l7_of_many_calls_the_good_ones_are_done
                l7_many_calls_are_reviewed_and_their_clients_tagged
            }
            finding {
                l2_a_history_is_sorted_by_name_and_by_duration
                l2_a_late_event_moves_a_call_in_the_order_of_durations
                l2_calls_are_found_by_tag_and_by_number
            }
            dnc {
                n1_a_listed_number_is_never_begun_in_its_scope
                n1_nothing_follows_a_live_call_of_a_listed_number
                n2_an_entry_cancels_what_is_scheduled_in_its_scope_only
                n2_drafts_and_paused_campaigns_are_in_scope_too
                n2_a_key_that_opts_out_blocks_the_number_everywhere
                n2_an_opt_out_counts_even_after_the_call_ended
                n3_a_number_has_one_entry_in_a_scope_and_the_first_stays
                n3_a_second_entry_cancels_what_came_in_between
                n4_removing_takes_the_entry_of_that_scope_only
                n4_an_entry_removed_does_not_bring_calls_back
                n4_whoever_came_in_while_listed_stays_out_after_removal
                n3_entries_come_newest_first_and_are_found
                n5_a_batch_does_what_each_entry_would
                n5_a_batch_cancels_and_names_calls_in_its_scope_only
                n6_a_list_takes_batches_while_it_runs_and_leaves_one_audit_row
                n6_a_list_whose_reader_died_has_failed
            }
            privacy {
                e1_nothing_a_store_tells_shows_whoever_was_erased
                e1_searches_find_no_one_who_was_erased
                e1_answers_under_idempotency_keys_no_longer_show_the_person
                e2_what_is_scheduled_is_cancelled_and_what_is_live_is_named
                e2_a_call_claimed_before_is_not_begun_after
                e2_a_call_taken_back_after_an_erasure_ends
                e3_words_that_come_late_are_dropped_and_the_end_is_kept
                e3_whoever_opts_out_after_being_erased_is_on_the_list
                e3_whoever_called_in_and_opts_out_after_being_erased_is_on_the_list
                e1_dials_to_an_erased_number_count_on
                e4_erasing_again_changes_nothing
                e5_a_recording_is_to_be_deleted_until_the_carrier_confirms
                e6_words_are_kept_as_long_as_allowed_and_no_longer
                e6_refused_rows_are_kept_no_longer_than_the_others
                e6_clients_that_come_in_after_a_round_have_theirs_later
                e7_what_ran_out_is_forgotten_and_nothing_else
            }
            numbers {
                c5_tallies_count_no_more_than_their_bounds_hold
                m1_numbers_of_a_tag_are_those_of_its_clients_each_once
                m1_numbers_of_a_tag_follow_late_news_and_new_tags
                m2_attention_names_what_nobody_has_seen_to
                m3_every_waiting_call_comes_once_in_the_order_of_the_list
            }
            media {
                p1_an_audio_keeps_its_bytes_and_the_newest_comes_first
                p2_an_audio_stays_while_a_campaign_that_is_not_over_plays_it
                p3_settings_that_play_what_is_not_there_are_refused
                p1_the_audio_of_a_script_comes_with_the_facts_as_far_as_it_is_there
            }
            test_calls {
                x1_a_test_call_is_dialled_on_a_draft_and_while_paused
                x1_a_test_call_brings_the_fields_of_its_sample
                x1_a_listed_number_and_a_stopped_campaign_get_no_test_call
                x1_a_test_call_takes_a_slot_and_its_number
                x2_a_test_call_is_in_no_count_and_stands_in_the_history
                x2_a_key_that_opts_out_in_a_test_call_blocks_the_number
                x1_a_test_call_that_is_taken_back_waits_again
                x1_a_test_call_that_waits_is_neither_moved_nor_skipped
            }
            results {
                r1_a_result_is_recorded_with_its_call_and_repeats_change_nothing
                r1_an_opt_out_the_agent_heard_blocks_the_number_at_once
                r1_a_call_that_never_began_has_no_result
                r1_the_answer_to_a_result_is_stored_with_it
            }
            inbound {
                i1_an_inbound_call_is_found_by_the_carriers_id_for_it
                i1_of_several_clients_the_one_dialled_last_is_meant_else_the_latest
                i1_a_withheld_number_is_nobodys
                i2_what_a_caller_presses_means_what_the_inbound_script_says
                i2_a_campaign_without_a_script_for_callers_hears_no_keys
                i3_a_message_that_a_caller_left_is_told_of_once
                i4_whoever_calls_in_is_not_dialled_until_that_call_ended
                i4_a_call_of_somebody_else_or_one_that_is_over_puts_nothing_off
                i4_a_call_that_came_in_is_none_that_a_dnc_entry_hangs_up
            }
            access {
                a1_a_link_is_redeemed_once
                a1_a_link_that_ended_is_no_link
                a2_a_session_ends_by_itself_and_by_sign_out
                a2_a_session_has_its_users_present_role
                a3_audit_rows_are_only_added_and_come_newest_first
                a4_a_store_tells_no_secret
                a5_a_fact_keeps_its_first_value
                a3_the_systems_own_reads_leave_no_row
            }
            outbox {
                o1_notices_of_a_kind_are_one_mail_and_in_no_other
                o1_that_mails_fail_is_not_mailed
                o2_a_key_is_queued_once
                o3_a_mail_is_held_by_one_worker_until_its_lease_ends
                o3_leases_of_the_dead_can_be_ended_at_once
                o4_a_settled_mail_is_never_claimed_again
                o5_what_was_sent_is_counted_by_day
                o6_an_erased_person_is_in_no_mail
                o6_a_mail_that_is_being_sent_is_given_up_when_its_person_is_erased
                o6_whoever_is_erased_everywhere_is_in_no_mail_either
                o7_a_day_counts_what_analytics_count
                o7_a_campaign_that_finished_in_the_day_is_named
            }
            people {
                a6_an_invitation_is_accepted_once_and_ends_other_sessions
                a6_an_invitation_that_ended_or_was_replaced_is_none
                a6_users_come_in_pages_in_the_order_they_came
                a7_a_disabled_user_has_no_way_in
                a7_the_last_enabled_admin_stays
                a8_a_token_lets_in_until_it_ends_or_is_revoked
                a8_a_token_may_no_more_than_its_owner_may_now
                a11_another_password_ends_every_session_and_link_but_the_one_it_was_asked_from
                a11_a_password_that_is_another_one_by_now_is_not_replaced
            }
            watch {
                a3_audit_rows_are_found_by_who_what_and_when
                a9_the_version_moves_with_every_change_and_rests_without
                a10_gauges_agree_with_the_lists
            }
            account {
                t1_account_settings_are_versioned_and_stale_changes_refused
                t2_the_servers_zone_holds_while_the_settings_name_none
                t3_a_stop_between_claim_and_begin_wins_for_people_too
                t3_nothing_is_claimed_while_stopped_and_calls_are_given_back
                t3_begin_and_a_stop_at_once_take_turns
                t3_nobody_is_promised_a_dial_at_once_while_all_is_stopped
                t4_pause_all_pauses_what_runs_and_says_which
                t5_the_accounts_slots_hold_over_campaigns_and_claimers
                t5_the_accounts_pace_holds_and_people_come_first
                t5_nothing_is_due_while_the_account_is_full
            }
            brakes {
                d9_a_halted_campaign_is_paused_with_its_reason_and_a_notice
                t6_a_big_campaign_starves_no_other
                t7_money_is_reserved_for_calls_in_progress_and_never_passed
                t7_a_spent_day_waits_for_the_next_and_is_told_once
                t8_a_budget_holds_in_the_campaigns_own_day
                t9_meters_follow_what_is_begun_taken_back_and_ended
                t10_a_campaign_whose_dials_fail_pauses_itself
                t10_resuming_begins_a_new_count
                t11_a_cool_down_holds_over_campaigns_and_for_people
                t11_a_cool_down_is_asked_again_at_begin_and_follows_late_evidence
            }
        }
        $crate::store_conformance! { @orders $factory;
            d5_the_order_of_a_voicemails_events_does_not_matter
            d5_the_order_of_an_unknown_calls_events_does_not_matter
            d5_the_order_of_a_refusal_and_its_denial_does_not_matter
            d5_the_order_of_an_opt_outs_events_does_not_matter
            d5_the_order_of_contradicting_endings_does_not_matter
            d5_the_order_of_an_agents_result_does_not_matter
        }
    };
    (@each $factory:expr; $($module:ident { $($case:ident)* })*) => {$($(
        #[::tokio::test]
        async fn $case() {
            let (guard, store) = $crate::testing::StoreFactory::build(&$factory).await;
            $crate::testing::store::$module::$case(&store).await;
            drop(store);
            drop(guard);
        }
    )*)*};
    (@orders $factory:expr; $($case:ident)*) => {$(
        #[::tokio::test]
        async fn $case() {
            $crate::testing::store::events::$case(&$factory).await;
        }
    )*};
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    const PORTS: &[&str] = &[
        include_str!("../port/store.rs"),
        include_str!("../port/store/access.rs"),
        include_str!("../port/store/account.rs"),
        include_str!("../port/store/calls.rs"),
        include_str!("../port/store/campaigns.rs"),
        include_str!("../port/store/clients.rs"),
        include_str!("../port/store/dispatch.rs"),
        include_str!("../port/store/dnc.rs"),
        include_str!("../port/store/media.rs"),
        include_str!("../port/store/imports.rs"),
        include_str!("../port/store/privacy.rs"),
        include_str!("../port/store/outbox.rs"),
        include_str!("../port/store/numbers.rs"),
    ];

    const MODULES: &[&str] = &[
        include_str!("store/access.rs"),
        include_str!("store/account.rs"),
        include_str!("store/brakes.rs"),
        include_str!("store/by.rs"),
        include_str!("store/calls.rs"),
        include_str!("store/campaigns.rs"),
        include_str!("store/changes.rs"),
        include_str!("store/claims.rs"),
        include_str!("store/clients.rs"),
        include_str!("store/dispatch.rs"),
        include_str!("store/dnc.rs"),
        include_str!("store/endings.rs"),
        include_str!("store/events.rs"),
        include_str!("store/imports.rs"),
        include_str!("store/finding.rs"),
        include_str!("store/inbound.rs"),
        include_str!("store/lists.rs"),
        include_str!("store/media.rs"),
        include_str!("store/hang_ups.rs"),
        include_str!("store/results.rs"),
        include_str!("store/test_calls.rs"),
        include_str!("store/privacy.rs"),
        include_str!("store/outbox.rs"),
        include_str!("store/numbers.rs"),
        include_str!("store/people.rs"),
        include_str!("store/watch.rs"),
    ];

    /// The names the macro lists.
    fn listed() -> BTreeSet<&'static str> {
        let source = include_str!("store.rs");
        let list = source.split("(@each $factory:expr;").next().unwrap_or_default();
        list.lines().map(str::trim).filter(|line| clause_of(line).is_some()).collect()
    }

    fn clause_of(case: &str) -> Option<String> {
        let (clause, rest) = case.split_once('_')?;
        let (letter, digits) = clause.split_at_checked(1)?;
        let is_name =
            rest.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        let is_clause = letter.chars().all(|c| c.is_ascii_lowercase())
            && !digits.is_empty()
            && digits.chars().all(|c| c.is_ascii_digit());
        (is_name && is_clause).then(|| clause.to_uppercase())
    }

    #[test]
    fn every_clause_of_the_ports_has_a_case_and_every_case_a_clause() {
        let clauses: BTreeSet<String> = PORTS
            .iter()
            .flat_map(|source| source.lines())
            .filter(|line| line.trim_start().starts_with("///"))
            .flat_map(|line| line.split("**").skip(1).step_by(2))
            .filter(|bold| clause_of(&format!("{}_", bold.to_lowercase())).is_some())
            .map(str::to_owned)
            .collect();
        assert!(clauses.len() >= 30, "the ports' clauses are found: {clauses:?}");
        let covered: BTreeSet<String> = listed().into_iter().filter_map(clause_of).collect();
        assert_eq!(covered, clauses);
    }

    #[test]
    fn every_case_that_was_written_is_listed() {
        let written: BTreeSet<&str> = MODULES
            .iter()
            .flat_map(|source| source.lines())
            .filter_map(|line| line.strip_prefix("pub async fn "))
            .filter_map(|rest| rest.split(['(', '<']).next())
            .collect();
        assert_eq!(written, listed());
    }
}
