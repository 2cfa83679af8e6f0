//! Rare storms: the store takes no opt-out for a while, and just then people want the number called.

use chrono::TimeDelta;

use super::world::{Done, Item, World, read};
use crate::actor::Actor;
use crate::phone::PhoneNumber;
use crate::port::{By, CallQuery, CallView, Calls, Page};

impl World {
    /// Somebody opts out, and from now on the store takes no opt-out for an hour or two, whatever
    /// else it takes. Meanwhile other people want that number to be called.
    pub(super) fn storm(&mut self, person: Option<PhoneNumber>) {
        let now = self.now();
        let mut stage = self.stage.lock();
        let over = stage.refuses_opt_outs_until.is_none_or(|until| until < now);
        if !over || !stage.is_stormy || !stage.weather.chance(150) {
            return;
        }
        let minutes = stage.weather.between(20, 120);
        stage.refuses_opt_outs_until = Some(now + TimeDelta::minutes(minutes));
        stage.trace(now, format_args!("the store takes no opt-out for {minutes} minutes"));
        let wishes = [0; 3].map(|_| now + TimeDelta::minutes(stage.weather.between(0, minutes)));
        drop(stage);
        for (at, phone) in wishes.into_iter().zip(person.into_iter().cycle()) {
            self.file(at, Item::Wish(phone));
        }
    }

    /// Somebody wants a number to be called now: the call that is to come, or else another one.
    pub(super) fn wish(&mut self, phone: PhoneNumber) {
        let query = CallQuery { limit: 1000, ..CallQuery::default() };
        let find = |page: Option<Page<CallView>>| {
            let of = |view: &CallView| view.call.phone == Some(phone) && view.call.client.is_some();
            page.and_then(|page| page.items.into_iter().find(of)).map(|view| view.call.id)
        };
        let (store, desk, now) = (self.store.clone(), self.desk.clone(), self.now());
        if let Some(id) = find(read(self.inner.upcoming(&query))) {
            self.start(async move {
                Done::Acted(
                    "call now",
                    store.call_now(By::new(&Actor::System, now), id).await.is_ok(),
                )
            });
        } else if let Some(id) = find(read(self.inner.history(&query))) {
            self.start(async move {
                let done = desk.retry(By::new(&Actor::System, now), id, None).await;
                Done::Acted("re-call", done.is_ok())
            });
        }
    }
}
