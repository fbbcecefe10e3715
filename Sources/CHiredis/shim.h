#pragma once
// The RESP reader and the command formatter only: sockets and event loops are SwiftNIO's.
#include <hiredis/hiredis.h>
#include <hiredis/read.h>
