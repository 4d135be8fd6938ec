/* SPDX-License-Identifier: Apache-2.0
 *
 * command.h - the command line: one binary, a table of commands.
 *
 *   reads    every room
 *   feeds    main.c
 *   threads  the main thread; serve starts the others
 *   memory   for the process
 */
#ifndef COMMAND_COMMAND_H
#define COMMAND_COMMAND_H

/* Exit codes: 0 done, 1 failed, 2 the command line is wrong. */
int command_run(int argc, char **argv, char **environment);

#endif
