"""1C read over its standard OData interface: documents of money, orders and sales, and the catalogues they name."""
