//! What is known of one kind's objects: fed by watches and by the answers to our own writes, read by reconciles.
//! Never older than our last write, and without what was seen to go. May be stale otherwise: no destructive act rests on it
//! alone.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use tokio::sync::watch;
use tokio::time::Instant;

use super::key::Key;

/// How long it is remembered that an object went: longer than any answer to a write of ours is under way.
const REMEMBERED: Duration = Duration::from_secs(120);

/// An object that the API server holds and that we cannot read.
#[derive(Clone, Debug)]
pub struct Broken {
    /// Its metadata.
    pub metadata: ObjectMeta,
    /// What is wrong with it.
    pub error: String,
}

/// One object as it is known.
#[derive(Debug)]
pub enum Entry<K> {
    /// An object.
    Object(Arc<K>),
    /// An object that cannot be read.
    Broken(Arc<Broken>),
}

impl<K> Clone for Entry<K> {
    fn clone(&self) -> Self {
        match self {
            Self::Object(object) => Self::Object(object.clone()),
            Self::Broken(broken) => Self::Broken(broken.clone()),
        }
    }
}

impl<K: Resource> Entry<K> {
    /// The object, if it can be read.
    #[must_use]
    pub const fn object(&self) -> Option<&Arc<K>> {
        match self {
            Self::Object(object) => Some(object),
            Self::Broken(_) => None,
        }
    }

    /// The object's metadata.
    #[must_use]
    pub fn meta(&self) -> &ObjectMeta {
        match self {
            Self::Object(object) => object.meta(),
            Self::Broken(broken) => &broken.metadata,
        }
    }

    fn version(&self) -> Option<u64> {
        self.meta().resource_version.as_deref()?.parse().ok()
    }
}

/// Told of every change: key, what was known, what is known now. Must be quick, and must not write the same store.
pub type Listener<K> = Box<dyn Fn(&Key, Option<&Entry<K>>, Option<&Entry<K>>) + Send + Sync>;

struct Known<K> {
    objects: HashMap<Key, Entry<K>>,
    gone: Gone,
}

/// The uids of objects that were seen to go, for a while: the answer to a write of ours may come after that, and an object
/// it brought back would stay for ever.
#[derive(Debug, Default)]
struct Gone {
    uids: HashSet<String>,
    /// The same, and when each was seen to go; the oldest first.
    order: VecDeque<(Instant, String)>,
}

impl Gone {
    fn holds(&self, uid: &str) -> bool {
        self.uids.contains(uid)
    }

    fn remember(&mut self, uid: &str, now: Instant) {
        let old = |(at, _): &&(Instant, String)| now.duration_since(*at) >= REMEMBERED;
        let old = self.order.iter().take_while(old).count();
        for (_, uid) in self.order.drain(..old) {
            self.uids.remove(&uid);
        }
        if self.uids.insert(uid.to_owned()) {
            self.order.push_back((now, uid.to_owned()));
        }
    }
}

struct Inner<K> {
    known: RwLock<Known<K>>,
    listeners: RwLock<Vec<Listener<K>>>,
    unsynced: watch::Sender<usize>,
}

/// A handle to what is known of one kind.
pub struct Store<K>(Arc<Inner<K>>);

impl<K> Clone for Store<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K> fmt::Debug for Store<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

impl<K> Default for Store<K> {
    fn default() -> Self {
        Self(Arc::new(Inner {
            known: RwLock::new(Known {
                objects: HashMap::new(),
                gone: Gone::default(),
            }),
            listeners: RwLock::default(),
            unsynced: watch::Sender::new(0),
        }))
    }
}

impl<K> Store<K> {
    fn read(&self) -> RwLockReadGuard<'_, Known<K>> {
        self.0.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Known<K>> {
        self.0.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Resource> Store<K> {
    /// Registers who is told of changes. Done once, before the watches start.
    pub fn listen(&self, listener: Listener<K>) {
        self.0
            .listeners
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(listener);
    }

    /// The object of that key.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Entry<K>> {
        self.read().objects.get(key).cloned()
    }

    /// The readable object of that key.
    #[must_use]
    pub fn object(&self, key: &Key) -> Option<Arc<K>> {
        self.get(key).and_then(|entry| entry.object().cloned())
    }

    /// Every key, of readable objects and of others.
    #[must_use]
    pub fn keys(&self) -> Vec<Key> {
        self.read().objects.keys().cloned().collect()
    }

    /// Every readable object.
    #[must_use]
    pub fn objects(&self) -> Vec<Arc<K>> {
        let known = self.read();
        known
            .objects
            .values()
            .filter_map(|entry| entry.object().cloned())
            .collect()
    }

    /// Takes in an object as the API server had it, unless a newer state is known or it was seen to go.
    pub fn observe(&self, key: &Key, entry: &Entry<K>) {
        let old = {
            let mut known = self.write();
            let uid = entry.meta().uid.as_deref();
            if uid.is_some_and(|uid| known.gone.holds(uid)) {
                return;
            }
            if let Some(newest) = known.objects.get(key)
                && newest.meta().uid.as_deref() == uid
                && newest.version() > entry.version()
            {
                return;
            }
            known.objects.insert(key.clone(), entry.clone())
        };
        self.tell(key, old.as_ref(), Some(entry));
    }

    /// Takes in that an object is gone. A later incarnation of the same name stays. Without a uid it was missing from a
    /// list, which may be an old one: then it may be seen again.
    pub fn forget(&self, key: &Key, uid: Option<&str>) {
        let old = {
            let mut known = self.write();
            if let Some(uid) = uid {
                known.gone.remember(uid, Instant::now());
            }
            match known.objects.get(key) {
                Some(found) if uid.is_none() || found.meta().uid.as_deref() == uid => {
                    known.objects.remove(key)
                }
                _ => None,
            }
        };
        if old.is_some() {
            self.tell(key, old.as_ref(), None);
        }
    }

    /// Takes in that a complete list of one scope held exactly these keys.
    pub fn retain(&self, namespace: Option<&str>, listed: &HashSet<Key>) {
        let gone: Vec<Key> = {
            let in_scope = |key: &&Key| namespace.is_none_or(|namespace| key.namespace == namespace);
            let known = self.read();
            known
                .objects
                .keys()
                .filter(in_scope)
                .filter(|key| !listed.contains(*key))
                .cloned()
                .collect()
        };
        for key in gone {
            self.forget(&key, None);
        }
    }

    fn tell(&self, key: &Key, old: Option<&Entry<K>>, new: Option<&Entry<K>>) {
        for listener in self
            .0
            .listeners
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
        {
            listener(key, old, new);
        }
    }

    /// Announces a watch that has not listed yet.
    pub fn expect_watch(&self) {
        self.0.unsynced.send_modify(|count| *count += 1);
    }

    /// Takes in that one announced watch has listed for the first time.
    pub fn watch_synced(&self) {
        self.0
            .unsynced
            .send_modify(|count| *count = count.saturating_sub(1));
    }

    /// Whether every announced watch has listed.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        *self.0.unsynced.borrow() == 0
    }

    /// Waits until every announced watch has listed.
    pub async fn synced(&self) {
        let mut unsynced = self.0.unsynced.subscribe();
        // The sender lives in self: the wait cannot fail while self is borrowed.
        let _ = unsynced.wait_for(|count| *count == 0).await;
    }
}

/// What of an object a reconcile depends on, status apart: our own status writes do not trigger us.
#[must_use]
pub fn same_input<K: Resource>(old: &Entry<K>, new: &Entry<K>) -> bool {
    let (a, b) = (old.meta(), new.meta());
    a.uid == b.uid
        && a.generation == b.generation
        && a.deletion_timestamp == b.deletion_timestamp
        && a.annotations == b.annotations
        && a.labels == b.labels
        && old.object().is_some() == new.object().is_some()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use k8s_openapi::api::core::v1::ConfigMap;

    use super::*;

    fn object(uid: &str, version: u64) -> Entry<ConfigMap> {
        let mut map = ConfigMap::default();
        map.metadata.uid = Some(uid.to_owned());
        map.metadata.resource_version = Some(version.to_string());
        Entry::Object(Arc::new(map))
    }

    fn version(store: &Store<ConfigMap>) -> Option<u64> {
        store.get(&Key::new("a", "b")).and_then(|entry| entry.version())
    }

    #[test]
    fn a_late_watch_event_never_hides_our_own_write() {
        let (store, key) = (Store::default(), Key::new("a", "b"));
        store.observe(&key, &object("1", 9));
        store.observe(&key, &object("1", 7));
        assert_eq!(version(&store), Some(9));
        store.observe(&key, &object("2", 8));
        assert_eq!(version(&store), Some(8), "another incarnation is another object");
        store.forget(&key, Some("1"));
        assert_eq!(
            version(&store),
            Some(8),
            "the end of an earlier incarnation does not end this one"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_comes_after_the_end_brings_nothing_back() {
        let (store, key) = (Store::default(), Key::new("a", "b"));
        store.observe(&key, &object("1", 7));
        store.forget(&key, Some("1"));
        store.observe(&key, &object("1", 8));
        assert_eq!(version(&store), None, "the answer to a write came late");
        store.observe(&key, &object("2", 9));
        assert_eq!(version(&store), Some(9), "another incarnation is another object");

        // What is missing from a list may have been made after it.
        store.retain(None, &HashSet::new());
        store.observe(&key, &object("2", 9));
        assert_eq!(version(&store), Some(9));

        // Nothing is remembered for ever.
        tokio::time::advance(REMEMBERED).await;
        store.forget(&key, Some("2"));
        let known = store.read();
        assert!(known.gone.holds("2") && !known.gone.holds("1"));
        assert_eq!(known.gone.order.len(), 1);
    }

    #[test]
    fn a_relist_tells_of_what_is_gone_in_its_scope_only() {
        let store = Store::default();
        let told = Arc::new(Mutex::new(vec![]));
        let sink = told.clone();
        store.listen(Box::new(move |key, _, new| {
            if new.is_none() {
                sink.lock().unwrap().push(key.to_string());
            }
        }));
        for (namespace, name) in [("a", "x"), ("a", "y"), ("b", "z")] {
            store.observe(&Key::new(namespace, name), &object("1", 1));
        }
        store.retain(Some("a"), &HashSet::from([Key::new("a", "x")]));
        assert_eq!(*told.lock().unwrap(), ["a/y"]);
    }
}
