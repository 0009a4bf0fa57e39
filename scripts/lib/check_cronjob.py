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

manifest, program = sys.argv[1:]
of_kind = {document["kind"]: document for document in yaml.safe_load_all(pathlib.Path(manifest).read_text())}
job, config = of_kind["CronJob"]["spec"], of_kind["ConfigMap"]
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
claim = of_kind["PersistentVolumeClaim"]["metadata"]["name"]
assert {"name": "backups", "persistentVolumeClaim": {"claimName": claim}} in pod["volumes"]
assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
# The policy counts on this: wrong settings end with 2, see below.
assert job["jobTemplate"]["spec"]["podFailurePolicy"]["rules"][0]["onExitCodes"]["values"] == [2]
assert [source["configMapRef"]["name"] for source in container["envFrom"]] == [config["metadata"]["name"]]

with tempfile.TemporaryDirectory() as root:
    settings = config["data"] | {variable["name"]: variable["value"] for variable in container["env"]}
    for name in ("BACKUP_DIR", "LOG_DIR", "MONGODB_PASSWORD_FILE"):
        assert any(settings[name].startswith(mount["mountPath"]) for mount in container["volumeMounts"]), f"{name} is on no volume"
        settings[name] = root + settings[name]
    secret = pathlib.Path(settings["MONGODB_PASSWORD_FILE"])
    secret.parent.mkdir(parents=True)
    secret.write_text("sec/ret\n")
    # Nothing listens there, which the program can only find out with settings that are right.
    settings["MONGODB_HOST"] = "127.0.0.1:1"
    for retries, expected in (("0", 1), ("many", 2)):
        env = settings | {"PATH": "/nowhere", "BACKUP_RETRIES": retries}
        outcome = subprocess.run([program, "backup"], env=env, capture_output=True, text=True, timeout=60)
        assert outcome.returncode == expected, f"exit code {outcome.returncode}:\n{outcome.stderr}"
