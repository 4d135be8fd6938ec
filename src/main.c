/* SPDX-License-Identifier: Apache-2.0 */
#include "command/command.h"

#include <unistd.h>

int main(int argc, char **argv) { return command_run(argc, argv, environ); }
