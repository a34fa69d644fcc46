"""What the process that decodes pictures gives up before it sees one."""
