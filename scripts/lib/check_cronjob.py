#!/usr/bin/env python3
"""Holds deploy/kubernetes/cronjob.yaml to what its comments promise; scripts/check-deploy runs it.

    check_cronjob.py MANIFEST PROGRAM

The program itself is asked whether it takes the settings that a pod would give it.
"""

import pathlib
import subprocess
import sys
import tempfile

import yaml


def of_kind(documents, kind):
    (found,) = [document for document in documents if document["kind"] == kind]
    return found


def environment(pod, container, config, root):
    """The settings of the container, with its folders put below `root`."""
    names = [source["configMapRef"]["name"] for source in container["envFrom"]]
    assert names == [config["metadata"]["name"]], names
    found = dict(config["data"])
    for variable in container["env"]:
        found[variable["name"]] = variable["value"]
    mounts = [mount["mountPath"] for mount in container["volumeMounts"]]
    for name in ("BACKUP_DIR", "LOG_DIR", "MONGODB_PASSWORD_FILE"):
        assert any(found[name].startswith(mount) for mount in mounts), f"{name} is on no volume"
        found[name] = str(root) + found[name]
    volumes = {volume["name"] for volume in pod["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes
    return found


def main():
    manifest, program = sys.argv[1:]
    documents = list(yaml.safe_load_all(pathlib.Path(manifest).read_text()))
    job = of_kind(documents, "CronJob")["spec"]
    config = of_kind(documents, "ConfigMap")
    pod = job["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]

    assert job["concurrencyPolicy"] == "Forbid" and pod["restartPolicy"] == "Never"
    assert container["args"] == ["backup"]
    assert pod["automountServiceAccountToken"] is False and pod["enableServiceLinks"] is False
    user = pod["securityContext"]
    assert user["runAsNonRoot"] and user["runAsUser"] == user["runAsGroup"] == user["fsGroup"] == 1000, user
    assert user["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }
    claim = of_kind(documents, "PersistentVolumeClaim")["metadata"]["name"]
    assert {"name": "backups", "persistentVolumeClaim": {"claimName": claim}} in pod["volumes"]
    # The policy counts on this: wrong settings end with 2, see below.
    assert job["jobTemplate"]["spec"]["podFailurePolicy"]["rules"][0]["onExitCodes"]["values"] == [2]

    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        settings = environment(pod, container, config, root)
        secret = pathlib.Path(settings["MONGODB_PASSWORD_FILE"])
        secret.parent.mkdir(parents=True)
        secret.write_text("sec/ret\n")
        # Nothing listens there, which the program can only find out with settings that are right.
        settings |= {"PATH": "/nowhere", "BACKUP_RETRIES": "0", "MONGODB_HOST": "127.0.0.1:1"}
        outcome = subprocess.run([program, "backup"], env=settings, capture_output=True, text=True, timeout=60)
        assert outcome.returncode == 1, f"exit code {outcome.returncode}:\n{outcome.stderr}"
        settings["BACKUP_RETRIES"] = "many"
        outcome = subprocess.run([program, "backup"], env=settings, capture_output=True, text=True, timeout=60)
        assert outcome.returncode == 2, f"exit code {outcome.returncode}:\n{outcome.stderr}"


if __name__ == "__main__":
    main()
