package smpp

import "fmt"

// Status is the command_status of a response. As an error it says that the peer refused the request.
// Zero is success.
type Status uint32

// The command_status values that callers branch on; Status.String knows the others too.
const (
	StatusOK            Status = 0x00
	StatusInvMsgLen     Status = 0x01
	StatusInvCmdLen     Status = 0x02
	StatusInvCmdID      Status = 0x03
	StatusInvBindState  Status = 0x04
	StatusAlreadyBound  Status = 0x05
	StatusSysErr        Status = 0x08
	StatusInvSrcAddr    Status = 0x0A
	StatusInvDstAddr    Status = 0x0B
	StatusBindFail      Status = 0x0D
	StatusInvPassword   Status = 0x0E
	StatusInvSystemID   Status = 0x0F
	StatusQueueFull     Status = 0x14
	StatusSubmitFail    Status = 0x45
	StatusInvSystemType Status = 0x53
	StatusThrottled     Status = 0x58
)

// StatusClass says what a command_status tells about the route it came from.
type StatusClass string

// The classes of a command_status.
const (
	// ClassOK is a success.
	ClassOK StatusClass = "ok"
	// ClassCapacity is too much at once: a rate, a queue or a bind limit. It is no illness of the route.
	ClassCapacity StatusClass = "capacity"
	// ClassRouteFault counts against the route.
	ClassRouteFault StatusClass = "route_fault"
	// ClassMessageFault blames the message: its addresses, its length, its parameters.
	ClassMessageFault StatusClass = "message_fault"
	// ClassConfigFault blames the account or the way we are set up. A person must act, and retrying may lock the account.
	ClassConfigFault StatusClass = "config_fault"
)

type statusInfo struct {
	name  string
	class StatusClass
}

// statuses holds the values of SMPP 3.4, section 5.1.3.
var statuses = map[Status]statusInfo{
	0x00: {"ESME_ROK", ClassOK},
	0x01: {"ESME_RINVMSGLEN", ClassMessageFault},
	0x02: {"ESME_RINVCMDLEN", ClassConfigFault},
	0x03: {"ESME_RINVCMDID", ClassConfigFault},
	0x04: {"ESME_RINVBNDSTS", ClassConfigFault},
	0x05: {"ESME_RALYBND", ClassCapacity},
	0x06: {"ESME_RINVPRTFLG", ClassMessageFault},
	0x07: {"ESME_RINVREGDLVFLG", ClassMessageFault},
	0x08: {"ESME_RSYSERR", ClassRouteFault},
	0x0A: {"ESME_RINVSRCADR", ClassMessageFault},
	0x0B: {"ESME_RINVDSTADR", ClassMessageFault},
	0x0C: {"ESME_RINVMSGID", ClassMessageFault},
	0x0D: {"ESME_RBINDFAIL", ClassRouteFault},
	0x0E: {"ESME_RINVPASWD", ClassConfigFault},
	0x0F: {"ESME_RINVSYSID", ClassConfigFault},
	0x11: {"ESME_RCANCELFAIL", ClassMessageFault},
	0x13: {"ESME_RREPLACEFAIL", ClassMessageFault},
	0x14: {"ESME_RMSGQFUL", ClassCapacity},
	0x15: {"ESME_RINVSERTYP", ClassConfigFault},
	0x33: {"ESME_RINVNUMDESTS", ClassMessageFault},
	0x34: {"ESME_RINVDLNAME", ClassMessageFault},
	0x40: {"ESME_RINVDESTFLAG", ClassMessageFault},
	0x42: {"ESME_RINVSUBREP", ClassMessageFault},
	0x43: {"ESME_RINVESMCLASS", ClassMessageFault},
	0x44: {"ESME_RCNTSUBDL", ClassMessageFault},
	0x45: {"ESME_RSUBMITFAIL", ClassRouteFault},
	0x48: {"ESME_RINVSRCTON", ClassMessageFault},
	0x49: {"ESME_RINVSRCNPI", ClassMessageFault},
	0x50: {"ESME_RINVDSTTON", ClassMessageFault},
	0x51: {"ESME_RINVDSTNPI", ClassMessageFault},
	0x53: {"ESME_RINVSYSTYP", ClassConfigFault},
	0x54: {"ESME_RINVREPFLAG", ClassMessageFault},
	0x55: {"ESME_RINVNUMMSGS", ClassMessageFault},
	0x58: {"ESME_RTHROTTLED", ClassCapacity},
	0x61: {"ESME_RINVSCHED", ClassMessageFault},
	0x62: {"ESME_RINVEXPIRY", ClassMessageFault},
	0x63: {"ESME_RINVDFTMSGID", ClassMessageFault},
	0x64: {"ESME_RX_T_APPN", ClassRouteFault},
	0x65: {"ESME_RX_P_APPN", ClassRouteFault},
	0x66: {"ESME_RX_R_APPN", ClassRouteFault},
	0x67: {"ESME_RQUERYFAIL", ClassMessageFault},
	0xC0: {"ESME_RINVOPTPARSTREAM", ClassMessageFault},
	0xC1: {"ESME_ROPTPARNOTALLWD", ClassMessageFault},
	0xC2: {"ESME_RINVPARLEN", ClassMessageFault},
	0xC3: {"ESME_RMISSINGOPTPARAM", ClassMessageFault},
	0xC4: {"ESME_RINVOPTPARAMVAL", ClassMessageFault},
	0xFE: {"ESME_RDELIVERYFAILURE", ClassRouteFault},
	0xFF: {"ESME_RUNKNOWNERR", ClassRouteFault},
}

// String is the protocol's name for the status, "vendor" for the range left to makers of SMSCs (0x400 to 0x4ff), and
// "unknown" for the rest.
func (s Status) String() string {
	if info, ok := statuses[s]; ok {
		return info.name
	}
	if s >= 0x400 && s <= 0x4FF {
		return "vendor"
	}
	return "unknown"
}

// Error is the name and the value, such as "ESME_RTHROTTLED (0x58)".
func (s Status) Error() string {
	return fmt.Sprintf("%s (0x%02x)", s.String(), uint32(s))
}

// Class is what the status says by itself. A value that the protocol does not define is a route fault: the message was
// refused, and the peer does not say that it was our doing.
func (s Status) Class() StatusClass {
	if info, ok := statuses[s]; ok {
		return info.class
	}
	return ClassRouteFault
}
