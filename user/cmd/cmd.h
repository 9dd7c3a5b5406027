/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd.h - the commands. Each takes the arguments from its own name on and returns an enum exit_code,
 * or the status of the program it launched; main.c lists them.
 */
#ifndef PV_CMD_CMD_H
#define PV_CMD_CMD_H

int cmd_record(char **argv);
int cmd_report(char **argv);
int cmd_agent(char **argv);
int cmd_ps(char **argv);
int cmd_doctor(char **argv);

#endif
