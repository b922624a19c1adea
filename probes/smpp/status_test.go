package smpp

import "testing"

func TestStatus(t *testing.T) {
	tests := []struct {
		status Status
		text   string
		class  StatusClass
	}{
		{StatusOK, "ESME_ROK (0x00)", ClassOK},
		{StatusInvBindState, "ESME_RINVBNDSTS (0x04)", ClassConfigFault},
		{StatusAlreadyBound, "ESME_RALYBND (0x05)", ClassCapacity},
		{StatusSysErr, "ESME_RSYSERR (0x08)", ClassRouteFault},
		{StatusInvSrcAddr, "ESME_RINVSRCADR (0x0a)", ClassMessageFault},
		{StatusInvDstAddr, "ESME_RINVDSTADR (0x0b)", ClassMessageFault},
		{StatusBindFail, "ESME_RBINDFAIL (0x0d)", ClassRouteFault},
		{StatusInvPassword, "ESME_RINVPASWD (0x0e)", ClassConfigFault},
		{StatusInvSystemID, "ESME_RINVSYSID (0x0f)", ClassConfigFault},
		{StatusQueueFull, "ESME_RMSGQFUL (0x14)", ClassCapacity},
		{StatusSubmitFail, "ESME_RSUBMITFAIL (0x45)", ClassRouteFault},
		{StatusInvSystemType, "ESME_RINVSYSTYP (0x53)", ClassConfigFault},
		{StatusThrottled, "ESME_RTHROTTLED (0x58)", ClassCapacity},
		{0x62, "ESME_RINVEXPIRY (0x62)", ClassMessageFault},
		{0x64, "ESME_RX_T_APPN (0x64)", ClassRouteFault},
		{0xFF, "ESME_RUNKNOWNERR (0xff)", ClassRouteFault},
		{0x402, "vendor (0x402)", ClassRouteFault},
		{0xDEAD, "unknown (0xdead)", ClassRouteFault},
	}
	for _, test := range tests {
		if got := test.status.Error(); got != test.text {
			t.Errorf("0x%x: got %q, want %q", uint32(test.status), got, test.text)
		}
		if got := test.status.Class(); got != test.class {
			t.Errorf("%s: got %s, want %s", test.text, got, test.class)
		}
	}
}
