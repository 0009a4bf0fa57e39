# A stack's life, from `cp .env.example .env && docker compose up -d` on, for scripts/docker-test. Source it after stand_ins.sh.
# shellcheck shell=bash

# What README and docker-compose.yml promise.
IDLE_LIMIT_MB=15
STOP_LIMIT_SECONDS=10
# What .env.example has; it must turn up nowhere else.
PASSWORD=change-me

# Whose the archives are. Not root, this script could not read what belongs to user 1000.
OWNER=1000:1000
[ "$(id -u)" = 0 ] || OWNER=$(id -u):$(id -g)

home=''

in_home() { (cd "$home" && "$@"); }
compose() { in_home docker compose "$@"; }
keeper() { compose exec -T pantry-keeper pantry-keeper "$@"; }
# quietly COMMAND...: what it says is only of interest when it fails.
quietly() {
    "$@" >"$work/said" 2>&1 || {
        cat "$work/said" >&2
        die "It failed: $*"
    }
}
container() { compose ps --all --quiet pantry-keeper; }
inspect() { docker inspect --format "$1" "$(container)"; }
logs() { compose logs --no-color --no-log-prefix pantry-keeper 2>&1; }
# The archives in it, oldest first.
archives() { (cd "$home/backups" && ls -- *.tar.gz 2>/dev/null) || true; }

ok() { printf '  %-66s ok\n' "$*"; }
limit() { # WHAT FIGURE LIMIT UNIT
    awk -v what="$1" -v figure="$2" -v limit="$3" -v unit="$4" 'BEGIN {
        printf "  %-40s %6.1f %-2s  limit %3g       %s\n", what, figure, unit, limit, figure <= limit ? "ok" : "MISSED"
        exit figure > limit
    }' || die "Over the limit: $1."
}
# within SECONDS WHAT COMMAND...: waits until it succeeds.
within() {
    local deadline=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        if [ "$SECONDS" -ge "$deadline" ]; then
            compose ps --all >&2 || true
            compose logs --tail 30 >&2 || true
            die "It did not come: $what."
        fi
        sleep 0.5
    done
    ok "$what"
}
is_healthy() { # SERVICE
    [ "$(docker inspect --format '{{.State.Health.Status}}' "$(compose ps --all --quiet "${1:-pantry-keeper}")")" = healthy ]
}
has_archives() { [ "$(archives | wc -l)" -ge "$1" ]; }
logs_say() { logs | grep -q "$1"; }

# new_home: the folder of someone who has just cloned this.
new_home() {
    home=$work/pantry-keeper
    mkdir -p "$home"
    cp "$ROOT/docker-compose.yml" "$ROOT/.env.example" "$home/"
    (cd "$home" && cp .env.example .env)
    [ "$OWNER" = 1000:1000 ] || printf 'PUID=%s\nPGID=%s\n' "${OWNER%:*}" "${OWNER#*:}" >>"$home/.env"
    export COMPOSE_PROJECT_NAME=pantry-keeper-test
}

# Compose reads this beside docker-compose.yml. The stack is the user's but for what stands in here for something else.
write_override() { # ARCH
    {
        say 'services:'
        say '  mongodb:'
        # This script talks to it too, on a port that is free.
        say '    ports: ["127.0.0.1::27017"]'
        [ -z "$server_image" ] || say "    image: $server_image"
        say '  pantry-keeper:'
        say "    platform: linux/$1"
        # In the image it looks every minute.
        say '    healthcheck: {interval: 5s}'
        say '  folders:'
        say "    platform: linux/$1"
        if [ -n "$server_image" ]; then
            say '  mailpit:'
            say "    image: $server_image"
            say '    entrypoint: ["/venv/bin/python", "-m", "aiosmtpd", "--nosetuid", "--listen", "0.0.0.0:1025"]'
        fi
    } >"$home/docker-compose.override.yml"
}

stack_gone() {
    [ -e "$home/docker-compose.yml" ] || return 0
    compose --profile mail down --volumes --remove-orphans --timeout 1 >/dev/null 2>&1
}

server_uri() { say "mongodb://root:$PASSWORD@$(compose port mongodb 27017)/?authSource=admin&directConnection=true"; }

# with_server: a few lines of Python on stdin, which have `client`. The password is in no argument.
with_server() {
    { printf 'import pymongo\nclient = pymongo.MongoClient("%s")\n' "$(server_uri)" && cat; } | "$PANTRY_TEST_PYTHON" -
}
counts() {
    with_server <<'PYTHON'
for name in sorted(client.jorbites.list_collection_names()):
    if not name.startswith("system."):
        print(name, client.jorbites[name].count_documents({}))
PYTHON
}

# --- The steps --------------------------------------------------------------------------------------------------------

# Every process, not only the first: whoever breaks in has what they have.
processes_have_no_rights() {
    local status
    # shellcheck disable=SC2016  # for the shell in there
    status=$(compose exec -T pantry-keeper sh -c 'cat /proc/[0-9]*/status')
    check_each() { # WHAT KEY VALUE
        local found
        found=$(printf '%s\n' "$status" | sed -n "s/^$2:[[:space:]]*//p" | sort -u)
        [ "$found" = "$3" ] || die "$1: $2 is $found, and should be $3."
        ok "$1"
    }
    local uid=${OWNER%:*} gid=${OWNER#*:} tab=$'\t'
    check_each "every process runs as user $uid and no other" Uid "$uid$tab$uid$tab$uid$tab$uid"
    check_each "and as group $gid" Gid "$gid$tab$gid$tab$gid$tab$gid"
    local set
    for set in CapInh CapPrm CapEff CapBnd CapAmb; do
        check_each "has no capabilities ($set)" "$set" 0000000000000000
    done
    check_each "and can get no new privileges" NoNewPrivs 1
}

files_are_private() {
    local path mode wrong=''
    # Folders 0700, files 0600, all of them the user's; the two folders themselves are as they were mounted.
    while IFS= read -r path; do
        mode=$(stat -c '%a %u:%g' "$path")
        case $mode in
        "600 $OWNER" | "700 $OWNER") ;;
        *) wrong+="$mode $path"$'\n' ;;
        esac
    done < <(find "$home/backups" "$home/logs" -mindepth 1)
    [ -z "$wrong" ] || die "Not for their owner alone:"$'\n'"$wrong"
    [ "$(stat -c %u:%g "$home/backups" "$home/logs" | sort -u)" = "$OWNER" ] || die "The folders are not user $OWNER's."
    ok "archives, logs and state are for user $OWNER alone"
}

password_is_nowhere() {
    ! inspect '{{json .}}' | "$PANTRY_TEST_PYTHON" -c '
import json, sys
container = json.load(sys.stdin)
container["Config"].pop("Env")
sys.exit(sys.argv[1] not in json.dumps(container))' "$PASSWORD" || die "docker inspect shows the password beside the settings."
    ! logs | grep -q "$PASSWORD" || die "docker logs shows the password."
    ! grep -rq "$PASSWORD" "$home/backups/.pantry-keeper" "$home/logs" || die "A file shows the password."
    ! { docker image inspect "$STAND_IN:$1" && docker history --no-trunc "$STAND_IN:$1"; } | grep -q "$PASSWORD" ||
        die "The image shows the password."
    # shellcheck disable=SC2016  # for the shell in there
    ! compose exec -T pantry-keeper sh -c 'cat /proc/[0-9]*/cmdline' | grep -q "$PASSWORD" || die "ps shows the password."
    ok "no password in docker inspect beyond the settings, nor in docker logs"
}

# What docker stats shows: all of the container's memory but what is only cached files.
container_memory_mb() {
    docker stats --no-stream --format '{{.MemUsage}}' "$(container)" |
        awk '{ n = $1 + 0; if ($1 ~ /KiB/) n /= 1024; if ($1 ~ /GiB/) n *= 1024; print n * 1.048576 }'
}
# Of the scheduler; a health check that happens to run has less.
process_memory_mb() {
    compose exec -T pantry-keeper sh -c 'cat /proc/[0-9]*/status' |
        awk '/^Name:/ { name = $2 } /^VmRSS:/ && name == "pantry-keeper" && $2 > most { most = $2 } END { print most / 1000 }'
}

archive_comes_on_schedule() {
    in_home sh -c "echo 'BACKUP_SCHEDULE=* * * * *' >>.env"
    quietly compose up --detach --no-build
    within 180 "an archive comes on schedule, every minute now" has_archives 1
    in_home sed -i '/^BACKUP_SCHEDULE/d' .env
    quietly compose up --detach --no-build
    within 60 "healthy again with the schedule as it was" is_healthy
}

restores() {
    if ! keeper --help | grep -q '^ *restore '; then
        say "  This build has no 'restore' yet: stock tools do it, as scripts/demo shows."
        return
    fi
    local before name
    name=$(archives | tail -n 1)
    before=$(counts)
    with_server <<<'client.drop_database("jorbites")'
    [ -z "$(counts)" ] || die "The database was not dropped."
    keeper restore "$name" --drop --yes || die "restore failed."
    [ "$before" = "$(counts)" ] || die "Restored was something else: $before before, $(counts) now."
    ok "restore brings back a database that was dropped"
}

stops_in_the_middle() {
    local before seconds started
    before=$(archives)
    # A server that stands still keeps the dump from ending before it is stopped.
    quietly compose kill --signal USR1 pantry-keeper
    is_dumping() { find "$home/backups" -name '*.partial' | grep -q .; }
    within 60 "SIGUSR1 starts a backup" is_dumping
    docker pause "$(compose ps --quiet mongodb)" >/dev/null
    is_dumping || die "The dump was over too soon to be stopped: give the server more to dump."
    started=$(date +%s.%N)
    quietly compose stop pantry-keeper
    seconds=$(awk "BEGIN { print $(date +%s.%N) - $started }")
    docker unpause "$(compose ps --all --quiet mongodb)" >/dev/null
    limit "stopped in the middle of a dump, in" "$seconds" "$STOP_LIMIT_SECONDS" s
    [ "$(inspect '{{.State.ExitCode}}')" = 0 ] || die "It ended with $(inspect '{{.State.ExitCode}}')."
    [ "$(archives)" = "$before" ] || die "An archive that is not whole has a final name: $(archives)"
    ok "ended with 0, and left no archive that is not whole"
}

starts_again() {
    within 60 "the server, which stood still, is healthy" is_healthy mongodb
    quietly compose start pantry-keeper
    within 60 "started again, and healthy" is_healthy
    quietly keeper backup
    ok "makes a backup after that"
    quietly keeper verify --all
    ok "every archive is sound"
    ! find "$home/backups" -name '*.partial' | grep -q . || die "The leftover of the dump that was stopped is still there."
    ok "what the stopped dump left behind is gone"
}

unwritable_folder_is_explained() {
    local said
    mkdir "$work/theirs"
    chown 4242:4242 "$work/theirs" 2>/dev/null || {
        say "  Not root: an unwritable folder is left out."
        return
    }
    chmod 755 "$work/theirs"
    said=$(HOST_BACKUP_DIR=$work/theirs compose run --rm -T pantry-keeper 2>&1) && die "It starts where it cannot write: $said"
    for words in 'cannot write in /backups: it belongs to 4242:4242, and this runs as '"$OWNER" 'sudo chown -R '"$OWNER"; do
        grep -qF "$words" <<<"$said" || die "It does not say '$words': $said"
    done
    rmdir "$work/theirs"
    ok "a folder of somebody else is named, with both owners and chown"
}

# Both as docker-compose.yml shows it in its comments.
mails_can_be_tried() {
    local line
    for line in SMTP_HOST=mailpit SMTP_PORT=1025 SMTP_SECURITY=none EMAIL_FROM=keeper@example.org EMAIL_TO=me@example.org; do
        say "$line" >>"$home/.env"
    done
    quietly compose --profile mail up --detach --no-build
    within 60 "the mail catcher takes a mail" keeper notify-test
}
secrets_can_be_files() {
    mkdir "$home/secrets"
    (
        umask 077
        sed -n 's/^MONGODB_URI=//p' "$home/.env" >"$home/secrets/mongodb_uri"
    )
    chown "$OWNER" "$home/secrets" "$home/secrets/mongodb_uri"
    in_home sed -i '/^MONGODB_URI=/d' .env
    in_home sed -i -e 's/^\( *\)# \(MONGODB_URI_FILE:\)/\1\2/' -e 's/^\( *\)# \(secrets: \[mongodb_uri\), smtp_password/\1\2/' \
        -e 's/^# \(secrets:\)/\1/' -e 's/^# \(  mongodb_uri:\)/\1/' -e 's/^# \(    file: .*mongodb_uri\)$/\1/' docker-compose.yml
    quietly compose up --detach --no-build
    within 60 "healthy with its connection string in a file" is_healthy
    quietly keeper backup
    inspect '{{json .}}' | grep -q mongodb_uri || die "It was not started with a secret."
    # MONGO_PASSWORD is MongoDB's own, from the same .env.
    ! inspect '{{range .Config.Env}}{{println .}}{{end}}' | grep -v '^MONGO_PASSWORD=' | grep -q "$PASSWORD" ||
        die "docker inspect shows a password that is in a file."
    ok "makes a backup, and docker inspect shows no password of its own"
}

stack_life() { # ARCH
    local arch=$1
    export PANTRY_KEEPER_IMAGE=$STAND_IN:$arch
    new_home
    write_override "$arch"
    stack_gone || true

    # From here on as a user; the folders are not there, and Docker makes them, as root's.
    rm -rf "$home/backups" "$home/logs"
    quietly compose up --detach --no-build
    ok "docker compose up"
    within 120 "healthy" is_healthy
    [ "$(compose exec -T pantry-keeper uname -m)" = "$(machine "$arch")" ] || die "This is not $arch."
    within 10 "has said when it backs up" logs_say 'next backup: '
    processes_have_no_rights
    compose exec -T pantry-keeper cat /proc/mounts | awk '$2 == "/" { mode = $4 } END { exit mode !~ /^ro(,|$)/ }' ||
        die "The root filesystem can be written to."
    ok "the root filesystem is read-only"
    [ "$(inspect '{{.HostConfig.Memory}} {{.HostConfig.Init}} {{.HostConfig.LogConfig.Config}}')" = \
        '536870912 true map[max-file:3 max-size:10m]' ] || die "Memory, init or logs are not as in docker-compose.yml."
    if [ "$arch" = "$NATIVE" ]; then
        limit "memory of the program, idle" "$(process_memory_mb)" "$IDLE_LIMIT_MB" MB
        limit "memory of the container, idle" "$(container_memory_mb)" "$IDLE_LIMIT_MB" MB
    fi

    "$PANTRY_TEST_PYTHON" "$LIB/seed.py" "$(server_uri)" --profile bench --size 15 >/dev/null
    keeper doctor || die "doctor finds something wrong."
    archive_comes_on_schedule
    keeper list
    keeper verify latest || die "verify failed."
    files_are_private
    (cd "$home/backups" && sha256sum --check --quiet -- *.sha256) || die "sha256sum does not agree."
    restores
    stops_in_the_middle
    starts_again
    files_are_private
    password_is_nowhere "$arch"
    unwritable_folder_is_explained
    if [ "$arch" = "$NATIVE" ]; then
        mails_can_be_tried
        secrets_can_be_files
        limit "memory of the program after its backups" "$(process_memory_mb)" "$IDLE_LIMIT_MB" MB
        limit "memory of the container after them" "$(container_memory_mb)" "$IDLE_LIMIT_MB" MB
    fi
    stack_gone
    rm -rf "$home"
}
