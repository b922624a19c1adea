package route

// FaultOfStatus says whose fault a submit was that SMPP refused with a command_status (SMPP 3.4, section 5.1.3). Whatever
// is not known to be somebody else's is the route's.
func FaultOfStatus(commandStatus uint32) Fault {
	switch commandStatus {
	case 0x14, 0x58: // message queue full, throttled
		return FaultCapacity
	case 0x0a, 0x0b, 0x61, 0x62: // source, destination, scheduled time, validity
		return FaultMessage
	case 0x0e, 0x0f, 0x53: // password, system id, system type
		return FaultConfig
	}
	return FaultRoute
}
