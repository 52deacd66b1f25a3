//! Performs what was planned for a workload's children. Decides nothing; the first failure ends the pass.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Resource};
use serde_json::json;
use tracing::info;

use super::manifests::Owner;
use super::names::Role;
use super::plan::Action;
use crate::runtime::apply::call;
use crate::runtime::store::{Entry, Store};
use crate::runtime::watch::Watched;
use crate::runtime::{Context, Error, Key};

/// Performs the actions in order. Answers go into the stores, so that the next pass sees its own writes.
///
/// # Errors
///
/// The first action that failed; a 409 is a change met, and the next pass decides anew.
pub async fn perform(ctx: &Context, role: Role, owner: &Owner, actions: Vec<Action>) -> Result<(), Error> {
    for action in actions {
        let (word, name) = one(ctx, role, owner, action).await?;
        info!(
            namespace = owner.namespace,
            name = owner.name,
            kind = owner.kind,
            child = name,
            action = word,
            "Changed child"
        );
    }
    Ok(())
}

async fn one(
    ctx: &Context,
    role: Role,
    owner: &Owner,
    action: Action,
) -> Result<(&'static str, String), Error> {
    let namespace = owner.namespace.as_str();
    let manager = format!("ottla/{}", role.word());
    let apply = PatchParams::apply(&manager).force();
    match action {
        Action::ApplyConfig(config) => {
            let api: Api<ConfigMap> = Api::namespaced(ctx.client.clone(), namespace);
            let name = config.metadata.name.clone().unwrap_or_default();
            call(
                "write the configuration",
                api.patch(&name, &apply, &Patch::Apply(&config)),
            )
            .await?;
            Ok(("ApplyConfig", name))
        }
        Action::CreateJob(job) => {
            let api: Api<Job> = Api::namespaced(ctx.client.clone(), namespace);
            let params = PostParams {
                dry_run: false,
                field_manager: Some(manager),
            };
            // A create, not an apply: a Job of that name that came meanwhile stays as it is.
            let created = call("start the Job", api.create(&params, &job)).await?;
            Ok(("CreateJob", remember(&ctx.stores.jobs, created)))
        }
        Action::SuspendJob { name, uid, suspend } => {
            let body = json!({ "metadata": { "uid": uid }, "spec": { "suspend": suspend } });
            Ok(("SuspendJob", patch_job(ctx, namespace, &name, &body).await?))
        }
        Action::ExpireJob { name, uid, seconds } => {
            let body = json!({ "metadata": { "uid": uid }, "spec": { "ttlSecondsAfterFinished": seconds } });
            Ok(("ExpireJob", patch_job(ctx, namespace, &name, &body).await?))
        }
        Action::ApplyDeployment(deployment) => {
            let api: Api<Deployment> = Api::namespaced(ctx.client.clone(), namespace);
            let name = deployment.metadata.name.clone().unwrap_or_default();
            let applied = call(
                "apply the Deployment",
                api.patch(&name, &apply, &Patch::Apply(&deployment)),
            )
            .await?;
            Ok(("ApplyDeployment", remember(&ctx.stores.deployments, applied)))
        }
        Action::PauseDeployment { name, uid } => {
            let body = json!({ "metadata": { "uid": uid }, "spec": { "replicas": 0 } });
            let api: Api<Deployment> = Api::namespaced(ctx.client.clone(), namespace);
            let (params, patch) = (PatchParams::default(), Patch::Merge(&body));
            let patched = call("pause the Deployment", api.patch(&name, &params, &patch)).await?;
            Ok(("PauseDeployment", remember(&ctx.stores.deployments, patched)))
        }
        Action::DeleteConfig { name } => {
            let api: Api<ConfigMap> = Api::namespaced(ctx.client.clone(), namespace);
            match call(
                "delete a configuration",
                api.delete(&name, &DeleteParams::default()),
            )
            .await
            {
                Ok(_) | Err(Error::Gone { .. }) => Ok(("DeleteConfig", name)),
                Err(error) => Err(error),
            }
        }
    }
}

async fn patch_job(
    ctx: &Context,
    namespace: &str,
    name: &str,
    body: &serde_json::Value,
) -> Result<String, Error> {
    let api: Api<Job> = Api::namespaced(ctx.client.clone(), namespace);
    let patched = call(
        "change the Job",
        api.patch(name, &PatchParams::default(), &Patch::Merge(body)),
    )
    .await?;
    Ok(remember(&ctx.stores.jobs, patched))
}

fn remember<K>(store: &Store<K>, mut object: K) -> String
where
    K: Watched + Resource<DynamicType = ()>,
{
    object.meta_mut().managed_fields = None;
    let key = Key::of(&object);
    store.observe(&key, &Entry::Object(object.into()));
    key.name
}
