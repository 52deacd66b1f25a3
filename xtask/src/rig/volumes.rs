//! Persistent volumes of the rig: a few directories of the node, since nothing there provisions volumes.
//!
//! A released volume never binds again, so it is emptied and made anew.

use anyhow::Result;
use serde_json::json;

use super::cluster::NODE;
use crate::host::engine::docker;
use crate::kubectl::{self, kubectl};

/// How many there are: the shared broker's, and some for tests.
const COUNT: usize = 6;
/// Where they are in the node; its /var outlives a restart of the container.
const DIRECTORY: &str = "/var/ottla/volumes";

/// Makes sure that each volume exists and can be bound.
pub fn ensure() -> Result<()> {
    let volumes = kubectl::get(&["persistentvolumes"])?.unwrap_or_default();
    let none = Vec::new();
    let volumes = volumes["items"].as_array().unwrap_or(&none);
    for index in 0..COUNT {
        let name = format!("rig-{index}");
        let phase = volumes
            .iter()
            .find(|volume| volume["metadata"]["name"] == name.as_str());
        match phase.map(|volume| kubectl::text(volume, "/status/phase")) {
            Some("Bound" | "Available" | "Pending") => {}
            Some(_) => {
                kubectl()
                    .args(["delete", "persistentvolume", &name, "--timeout=30s"])
                    .run()?;
                create(&name)?;
            }
            None => create(&name)?,
        }
    }
    Ok(())
}

fn create(name: &str) -> Result<()> {
    let path = format!("{DIRECTORY}/{name}");
    let script = format!("rm -rf {path} && mkdir -p {path} && chown 1001:1001 {path} && chmod 2775 {path}");
    docker().args(["exec", NODE, "sh", "-c", &script]).run()?;
    let volume = json!({
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name},
        "spec": {
            "storageClassName": "standard", "capacity": {"storage": "8Gi"}, "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain", "local": {"path": path},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [
                {"key": "kubernetes.io/hostname", "operator": "In", "values": [NODE]},
            ]}]}},
        },
    });
    kubectl::apply(&volume.to_string())
}
