/* What `mlctr step enter` hands to the Slurm plugin, which joins the container with it: the contract between the two,
 * in C, without anything else of mlctr's. They talk on one node and are installed together: numbers are in host order.
 *
 *   plugin            mlctr step enter --socket FD [--container-…]     FD: one end of a SOCK_SEQPACKET pair
 *   mlctr             one message, then exits 0:
 *     text            "mlctr1 NAMESPACES UID GID FLAGS"                decimal numbers, single spaces, no newline or
 * NUL descriptors     the records, then NAMESPACES of them for setns(2), in this order   (SCM_RIGHTS, in one cmsg)
 *   where it fails    no message: it has told why on standard error, and exits with another code than 0
 *
 * Tasks that come later need no process of mlctr's: the step's holder, where it has made the container, gives the same
 * to the plugin, and to mlctr-task.
 *
 *   plugin            connects to steps/JOB.STEP.RESTART-SLURMSTEPD in mlctr's runtime directory (step_door.cpp),
 *                     SOCK_SEQPACKET, and sends one message
 *     text            "enter"
 *     descriptor      a memfd with the task's environment, each variable with its NUL
 *   the holder        the message above; or it closes the connection: `mlctr step enter` is to tell why
 *
 *   records           a memfd, sealed (F_SEAL_WRITE|SHRINK|GROW); read it with pread(2) or mmap(2) from offset 0
 *     record = kind length bytes                                       two uint32_t, then `length` bytes; no padding
 *
 * UID and GID are what the task is inside. The order in which the plugin acts: setns() on each descriptor, identity,
 * environment, directory, no_new_privs, filter. */
#ifndef MLCTR_SPANK_HAND_OFF_H
#define MLCTR_SPANK_HAND_OFF_H

#include <stdint.h>

#define MLCTR_HAND_OFF_VERSION "mlctr1"
#define MLCTR_ENTER_REQUEST "enter"

enum {
  MLCTR_HAND_OFF_MAX_TEXT = 128,             /* bytes, of the text */
  MLCTR_HAND_OFF_MAX_NAMESPACES = 8,         /* one more descriptor than that in all */
  MLCTR_HAND_OFF_MAX_BYTES = 16 << 20,       /* of the memfd */
  MLCTR_HAND_OFF_MAX_FILTER_BYTES = 8 * 4096 /* of a filter: BPF_MAXINSNS instructions */
};

/* Flags: none has a meaning yet. One that the plugin does not know must make the task fail: the two are of different
 * versions. */
enum { MLCTR_HAND_OFF_KNOWN_FLAGS = 0 };

/* What to do with a record. A kind that the plugin does not know is skipped: mlctr sends nothing vital as a new kind
 * without a flag. No text ends in a NUL or holds one. */
enum mlctr_hand_off_kind {
  /* "NAME=VALUE", one variable a record: together the task's whole environment; others are to be unset. */
  MLCTR_HAND_OFF_VARIABLE = 1,
  /* A working directory, absolute and inside the container; the first one that chdir(2) takes is it, in the records'
   * order. None taken: the task fails, with the last one's errno. */
  MLCTR_HAND_OFF_DIRECTORY = 2,
  /* An array of struct sock_filter, for PR_SET_SECCOMP after no_new_privs; at most one record. None: no filter. */
  MLCTR_HAND_OFF_FILTER = 3,
  /* "INSIDE_UID INSIDE_GID": after the last setns() make one more user namespace with these ids (the task is to be
   * another inside than the container's user is); at most one record. The outer ids are geteuid() and getegid() as they
   * are after the last setns(). */
  MLCTR_HAND_OFF_IDENTITY = 4,
  /* A line for the user, without a newline. */
  MLCTR_HAND_OFF_WARNING = 5
};

struct mlctr_hand_off_record {
  uint32_t kind;
  uint32_t length; /* of what follows */
};

#endif
