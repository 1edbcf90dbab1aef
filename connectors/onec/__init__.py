"""1C: what accounting exports as files. Today bank statements (`1CClientBankExchange`) from a folder."""
