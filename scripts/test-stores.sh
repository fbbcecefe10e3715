# Sourced by what runs tests: a private PostgreSQL and a private Redis in "$servers", stopped at the end.
#
# Leaves HOLDFAST_TEST_DATABASE_URL and HOLDFAST_TEST_REDIS_URL (administrators), and the same with SERVICE in their names
# (the service's users of Deploy/). What a service would take for its own settings is unset.

# shellcheck shell=bash
trap 'scripts/services.sh stop "$servers"' EXIT
trap 'exit 130' INT TERM
scripts/services.sh start "$servers" || exit 1
# shellcheck source=/dev/null
. "$servers/env"
export HOLDFAST_TEST_DATABASE_URL=$DATABASE_URL HOLDFAST_TEST_REDIS_URL=$REDIS_URL
export HOLDFAST_TEST_SERVICE_DATABASE_URL=$SERVICE_DATABASE_URL HOLDFAST_TEST_SERVICE_REDIS_URL=$SERVICE_REDIS_URL
unset DATABASE_URL REDIS_URL SERVICE_DATABASE_URL SERVICE_REDIS_URL
