//! What is known of one kind's objects: fed by watches and by the answers to our own writes, read by reconciles.
//! Never older than our last write. May be stale otherwise: no destructive act rests on it alone.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use tokio::sync::watch;

use super::key::Key;

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

struct Inner<K> {
    objects: RwLock<HashMap<Key, Entry<K>>>,
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
            objects: RwLock::default(),
            listeners: RwLock::default(),
            unsynced: watch::Sender::new(0),
        }))
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
        self.0
            .objects
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(key)
            .cloned()
    }

    /// The readable object of that key.
    #[must_use]
    pub fn object(&self, key: &Key) -> Option<Arc<K>> {
        self.get(key).and_then(|entry| entry.object().cloned())
    }

    /// Every key, of readable objects and of others.
    #[must_use]
    pub fn keys(&self) -> Vec<Key> {
        let objects = self.0.objects.read().unwrap_or_else(PoisonError::into_inner);
        objects.keys().cloned().collect()
    }

    /// Every readable object.
    #[must_use]
    pub fn objects(&self) -> Vec<Arc<K>> {
        let objects = self.0.objects.read().unwrap_or_else(PoisonError::into_inner);
        objects
            .values()
            .filter_map(|entry| entry.object().cloned())
            .collect()
    }

    /// Takes in an object as the API server has it, unless a newer state is known. An object without its uid is
    /// no answer of the API server and is ignored.
    pub fn observe(&self, key: &Key, entry: &Entry<K>) {
        let old = {
            let mut objects = self.0.objects.write().unwrap_or_else(PoisonError::into_inner);
            if let Some(known) = objects.get(key)
                && known.meta().uid == entry.meta().uid
                && known.version() > entry.version()
            {
                return;
            }
            objects.insert(key.clone(), entry.clone())
        };
        self.tell(key, old.as_ref(), Some(entry));
    }

    /// Takes in that an object is gone. A later incarnation of the same name stays.
    pub fn forget(&self, key: &Key, uid: Option<&str>) {
        let old = {
            let mut objects = self.0.objects.write().unwrap_or_else(PoisonError::into_inner);
            match objects.get(key) {
                Some(known) if uid.is_none() || known.meta().uid.as_deref() == uid => objects.remove(key),
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
            let objects = self.0.objects.read().unwrap_or_else(PoisonError::into_inner);
            let in_scope = |key: &&Key| namespace.is_none_or(|namespace| key.namespace == namespace);
            objects
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
