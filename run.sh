#!/usr/bin/env bash
# Runs a scaler for as long as a simulator wants one; the container's command.
#
# Starts `pilotlight serve` with this script's arguments, waits until the scaler accepts connections, then until the
# simulator's statistics do, and stops the scaler when the statistics close. Signals that would end it stop the scaler at once.
#
#   SCALER_PORT        where the scaler listens (9001)
#   STATISTICS_PORT    where the simulator answers its statistics (9000)
#   START_LIMIT        seconds that either may take to accept connections (600)
#   STOP_LIMIT         seconds that the scaler may take to end after SIGTERM before it is killed (30)
#   PILOTLIGHT_POLICY  the policy, unless an argument says it (level_gap:lambda=contest, the contest's own price)
#
# Exit status: the scaler's own; 1 when it or the simulator does not come up in time, or the scaler ends by itself.
set -u

scaler_port=${SCALER_PORT:-9001}
statistics_port=${STATISTICS_PORT:-9000}
start_limit=${START_LIMIT:-600}
stop_limit=${STOP_LIMIT:-30}
export PILOTLIGHT_ADDRESS=${PILOTLIGHT_ADDRESS:-0.0.0.0:$scaler_port}
# The environment is stronger than a configuration file, whose policy must not be overruled from here.
if [[ " $*" != *" --config"* ]]; then
  export PILOTLIGHT_POLICY=${PILOTLIGHT_POLICY:-level_gap:lambda=contest}
fi

say() { echo "run.sh: $*" >&2; }

accepts() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# In the background, so that a signal is acted on at once and not after the sleep.
pause() {
  sleep "$1" &
  wait $!
}

scaler_runs() { kill -0 "$scaler" 2>/dev/null; }

# stop [STATUS]: ends the scaler, then the script with STATUS or else the scaler's own.
stop() {
  trap '' TERM INT HUP QUIT USR1 USR2
  kill -TERM "$scaler" 2>/dev/null
  local deadline=$((SECONDS + stop_limit)) status=0
  while scaler_runs && ((SECONDS < deadline)); do
    sleep 0.1
  done
  if scaler_runs; then
    say "the scaler did not end within $stop_limit s of SIGTERM; killing it"
    kill -KILL "$scaler" 2>/dev/null
  fi
  wait "$scaler" || status=$?
  exit "${1:-$status}"
}

# The scaler ended although nobody asked it to.
fail_when_scaler_ended() {
  scaler_runs && return
  local status=0
  wait "$scaler" || status=$?
  say "the scaler ended by itself with status $status"
  exit $((status == 0 ? 1 : status))
}

# await PORT WHAT
await() {
  local deadline=$((SECONDS + start_limit))
  until accepts "$1"; do
    fail_when_scaler_ended
    if ((SECONDS >= deadline)); then
      say "$2 does not accept connections on port $1 after $start_limit s"
      stop 1
    fi
    pause 0.2
  done
}

pilotlight serve "$@" &
scaler=$!
trap stop TERM INT HUP QUIT USR1 USR2

await "$scaler_port" "the scaler"
await "$statistics_port" "the simulator"
while accepts "$statistics_port"; do
  fail_when_scaler_ended
  pause 1
done
say "the simulator has finished"
stop
