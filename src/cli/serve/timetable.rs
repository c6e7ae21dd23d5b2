//! The store that tokio-cron-scheduler asks when the next run is. While a run is under way it does not answer: no second one begins beside it.
//!
//! The crate's own store is polled twice a second, makes up for every interval that a clock set forward seems to have missed, and sleeps
//! through the time by which one is set back. This one answers when it is time, by the clocks that it was given; the crate's are not used.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tokio::sync::Notify;
use tokio_cron_scheduler::job::JobId;
use tokio_cron_scheduler::job::job_data::{JobAndNextTick, JobStoredData};
use tokio_cron_scheduler::store::{DataStore, InitStore};
use tokio_cron_scheduler::{JobSchedulerError, MetaDataStorage};

use super::super::when::{Look, Moment, Schedule, Wait};
use crate::model::clock::{Clock, Time};
use crate::plan::retry::Wake;

/// A second after 1970 began: due by any clock. What decides has decided.
const DUE: u64 = 1;

/// What the store's methods answer with.
type Answer<T> = Pin<Box<dyn Future<Output = Result<T, JobSchedulerError>> + Send>>;

/// The one job's next tick, shared between the scheduler and the command.
#[derive(Clone, Debug)]
pub(super) struct Timetable(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    schedule: Schedule,
    clock: Clock,
    /// From where the monotonic clock is counted.
    origin: Instant,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    job: Option<JobStoredData>,
    /// None while a run is under way.
    wait: Option<Wait>,
    /// Whether somebody asked for a run now.
    now: bool,
}

impl Timetable {
    /// A timetable whose first run is under way.
    pub(super) fn new(schedule: Schedule, clock: Clock) -> Self {
        let origin = clock.instant();
        Self(Arc::new(Shared { schedule, clock, origin, state: Mutex::default(), changed: Notify::new() }))
    }

    /// Both clocks.
    pub(super) fn moment(&self) -> Moment {
        Moment { wall: self.0.clock.now(), monotonic: self.0.clock.instant().saturating_duration_since(self.0.origin) }
    }

    /// The run that began then has ended, and these are the times to look at certificates again; gives the time of the next run.
    pub(super) fn ended(&self, began: Moment, wakes: &[Wake]) -> Time {
        let now = self.moment();
        let wait = Wait::after(&self.0.schedule, began, now, wakes);
        let due = wait.due_at(now);
        self.state().wait = Some(wait);
        self.0.changed.notify_one();
        due
    }

    /// A run now, or after the one that is under way.
    pub(super) fn now(&self) {
        self.state().now = true;
        self.0.changed.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it is time.
    async fn due(&self) -> Vec<JobAndNextTick> {
        loop {
            let pause = match self.look() {
                Ok(due) => return due,
                Err(pause) => pause,
            };
            // While a run is under way, its end wakes us.
            let pause = async {
                match pause {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! { () = pause => {}, () = self.0.changed.notified() => {} }
        }
    }

    /// The tick that is due, or how long to wait.
    fn look(&self) -> Result<Vec<JobAndNextTick>, Option<Duration>> {
        let moment = self.moment();
        let mut state = self.state();
        let wait = state.wait.as_mut().ok_or(None)?;
        match wait.look(moment) {
            Look::Due => {}
            Look::Jumped(by) => tracing::warn!("the wall clock is {by} s further than it should be: it was set, or the machine slept"),
            Look::Later(_) if state.now => {}
            Look::Later(pause) => return Err(Some(pause)),
        }
        (state.wait, state.now) = (None, false);
        let job = state.job.as_ref();
        Ok(job.map(|job| JobAndNextTick { id: job.id, job_type: job.job_type, next_tick: DUE, last_tick: None }).into_iter().collect())
    }
}

impl DataStore<JobStoredData> for Timetable {
    fn get(&mut self, _: JobId) -> Answer<Option<JobStoredData>> {
        let job = self.state().job.clone();
        Box::pin(async { Ok(job) })
    }

    fn add_or_update(&mut self, job: JobStoredData) -> Answer<()> {
        self.state().job = Some(job);
        Box::pin(async { Ok(()) })
    }

    fn delete(&mut self, _: JobId) -> Answer<()> {
        self.state().job = None;
        Box::pin(async { Ok(()) })
    }
}

impl InitStore for Timetable {
    fn init(&mut self) -> Answer<()> {
        Box::pin(async { Ok(()) })
    }

    fn inited(&mut self) -> Answer<bool> {
        Box::pin(async { Ok(true) })
    }
}

impl MetaDataStorage for Timetable {
    fn list_next_ticks(&mut self) -> Answer<Vec<JobAndNextTick>> {
        let timetable = self.clone();
        Box::pin(async move { Ok(timetable.due().await) })
    }

    /// The crate's opinion of what is next, by its own clock: not asked for.
    fn set_next_and_last_tick(&mut self, _: JobId, _: Option<DateTime<Utc>>, _: Option<DateTime<Utc>>) -> Answer<()> {
        Box::pin(async { Ok(()) })
    }

    fn time_till_next_job(&mut self) -> Answer<Option<Duration>> {
        Box::pin(async { Ok(None) })
    }
}
