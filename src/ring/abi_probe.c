/*
 * Prints "name value" for every size, offset and constant of the kernel header that abi.rs uses.
 * The test in abi.rs compiles and runs it, and compares each line.
 */
#include <linux/types.h>
#include <stddef.h>
#include <stdio.h>
#include <linux/target_core_user.h>

#define CONSTANT(name) printf(#name " %lu\n", (unsigned long)(name))
#define SIZE(type) printf("sizeof." #type " %zu\n", sizeof(struct type))
#define OFFSET(type, member) printf(#type "." #member " %zu\n", offsetof(struct type, member))

int main(void)
{
	CONSTANT(TCMU_MAILBOX_VERSION);
	CONSTANT(TCMU_MAILBOX_FLAG_CAP_OOOC);
	CONSTANT(TCMU_MAILBOX_FLAG_CAP_READ_LEN);
	CONSTANT(TCMU_MAILBOX_FLAG_CAP_TMR);
	CONSTANT(TCMU_MAILBOX_FLAG_CAP_KEEP_BUF);
	CONSTANT(TCMU_OP_PAD);
	CONSTANT(TCMU_OP_CMD);
	CONSTANT(TCMU_OP_TMR);
	CONSTANT(TCMU_OP_MASK);
	CONSTANT(TCMU_OP_ALIGN_SIZE);
	CONSTANT(TCMU_UFLAG_UNKNOWN_OP);
	CONSTANT(TCMU_UFLAG_READ_LEN);
	CONSTANT(TCMU_UFLAG_KEEP_BUF);
	CONSTANT(TCMU_SENSE_BUFFERSIZE);
	CONSTANT(TCMU_TMR_UNKNOWN);
	CONSTANT(TCMU_TMR_ABORT_TASK);
	CONSTANT(TCMU_TMR_ABORT_TASK_SET);
	CONSTANT(TCMU_TMR_CLEAR_ACA);
	CONSTANT(TCMU_TMR_CLEAR_TASK_SET);
	CONSTANT(TCMU_TMR_LUN_RESET);
	CONSTANT(TCMU_TMR_TARGET_WARM_RESET);
	CONSTANT(TCMU_TMR_TARGET_COLD_RESET);
	CONSTANT(TCMU_TMR_LUN_RESET_PRO);

	SIZE(tcmu_mailbox);
	OFFSET(tcmu_mailbox, version);
	OFFSET(tcmu_mailbox, flags);
	OFFSET(tcmu_mailbox, cmdr_off);
	OFFSET(tcmu_mailbox, cmdr_size);
	OFFSET(tcmu_mailbox, cmd_head);
	OFFSET(tcmu_mailbox, cmd_tail);

	SIZE(tcmu_cmd_entry_hdr);
	OFFSET(tcmu_cmd_entry_hdr, len_op);
	OFFSET(tcmu_cmd_entry_hdr, cmd_id);
	OFFSET(tcmu_cmd_entry_hdr, kflags);
	OFFSET(tcmu_cmd_entry_hdr, uflags);

	SIZE(tcmu_cmd_entry);
	OFFSET(tcmu_cmd_entry, req.iov_cnt);
	OFFSET(tcmu_cmd_entry, req.iov_bidi_cnt);
	OFFSET(tcmu_cmd_entry, req.iov_dif_cnt);
	OFFSET(tcmu_cmd_entry, req.cdb_off);
	OFFSET(tcmu_cmd_entry, req.iov);
	SIZE(iovec);
	OFFSET(iovec, iov_base);
	OFFSET(iovec, iov_len);
	OFFSET(tcmu_cmd_entry, rsp.scsi_status);
	OFFSET(tcmu_cmd_entry, rsp.read_len);
	OFFSET(tcmu_cmd_entry, rsp.sense_buffer);

	SIZE(tcmu_tmr_entry);
	OFFSET(tcmu_tmr_entry, tmr_type);
	OFFSET(tcmu_tmr_entry, cmd_cnt);
	OFFSET(tcmu_tmr_entry, cmd_ids);
	return 0;
}
