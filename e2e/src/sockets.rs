//! Connections from the operator to the throw-away Kafka, as the kernel of each broker's pod lists them.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};

use crate::live::Live;
use crate::operator;

/// One connection: the broker's pod, and the port at the operator's end.
pub type Socket = (String, u16);

/// The established connections of the operator that acts to this port of the brokers in a namespace.
pub async fn of_operator(live: &Live, namespace: &str, port: u16) -> Result<BTreeSet<Socket>> {
    let operators: Api<Pod> = Api::namespaced(live.client.clone(), operator::NAMESPACE);
    let operator = operators.get(&operator::pod(live).await?.pod).await?;
    let address = operator.status.and_then(|status| status.pod_ip);
    let address: Ipv4Addr = address.context("the operator's pod has an address")?.parse()?;
    let brokers: Api<Pod> = Api::namespaced(live.client.clone(), namespace);
    let brokers = brokers
        .list(&ListParams::default().labels("app.kubernetes.io/name=kafka"))
        .await?;
    let mut sockets = BTreeSet::new();
    for broker in brokers {
        let pod = broker.metadata.name.context("a pod has a name")?;
        let command = [
            "exec",
            "-n",
            namespace,
            &pod,
            "-c",
            "kafka",
            "--",
            "cat",
            "/proc/net/tcp",
            "/proc/net/tcp6",
        ];
        let table = live.kubectl(&command).await?;
        sockets.extend(
            peers(&table, port, address)
                .into_iter()
                .map(|peer| (pod.clone(), peer)),
        );
    }
    Ok(sockets)
}

/// The ports of the peers at that address with an established connection to a local port.
fn peers(table: &str, port: u16, address: Ipv4Addr) -> Vec<u16> {
    // The kernel prints an address as the machine's words, and one of the old protocol at the end of one of the new.
    let wanted = format!("{:08X}", u32::from_le_bytes(address.octets()));
    let local = format!(":{port:04X}");
    let rows = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    let peers = rows.filter_map(|row| {
        let (here, there, state) = (row.get(1)?, row.get(2)?, row.get(3)?);
        let (host, peer) = there.split_once(':')?;
        let meant = here.ends_with(&local) && host.ends_with(&wanted) && *state == "01";
        u16::from_str_radix(peer, 16).ok().filter(|_| meant)
    });
    peers.collect()
}

#[cfg(test)]
mod tests {
    use super::peers;

    #[test]
    fn reads_what_the_kernel_prints() {
        let table = "  sl  local_address rem_address   st tx_queue\n\
            0: 0500F40A:2388 0900F40A:A001 01 0\n\
            1: 0000000000000000FFFF00000500F40A:2388 0000000000000000FFFF00000900F40A:A002 01 0\n\
            2: 0000000000000000FFFF00000500F40A:2388 0000000000000000FFFF00000900F40A:A003 06 0\n\
            3: 0000000000000000FFFF00000500F40A:2389 0000000000000000FFFF00000900F40A:A004 01 0\n\
            4: 00000000000000000000000000000000:2388 00000000000000000000000000000000:0000 0A 0\n\
            5: 0000000000000000FFFF00000500F40A:2388 0000000000000000FFFF00000A00F40A:A005 01 0\n";
        assert_eq!(
            peers(table, 9096, "10.244.0.9".parse().unwrap()),
            [0xA001, 0xA002]
        );
    }
}
