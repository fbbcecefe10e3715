#pragma once
// eventfd is not in Swift's Glibc module; libpq's connections are interrupted through one.
#include <sys/eventfd.h>
#include <libpq-fe.h>
